"""What the program, its zygote and a process from it say to each other."""

import os
import signal
import struct
import time
from dataclasses import dataclass

# The zygote tells a pid, or a negative errno where it could not fork, and later the exit code; each is a message.
NUMBER = struct.Struct("q")
# Of a process that has ended: its exit code, and the most memory it had, in bytes.
END = struct.Struct("qq")

# As many as the kernel takes with one message.
MOST_DESCRIPTORS = 253

# Of a request's descriptors the first three are: where the process reads what it is, where the zygote tells of it, and the resource tracker's. Then the standard streams.
FIXED = 3


@dataclass(frozen=True)
class Ready:
    """The zygote has imported its modules."""

    problems: list[str]  # what it could not import, and why
    refusal: str  # why it does not fork; empty if it does


@dataclass(frozen=True)
class Surroundings:
    """What a process is to find as its parent has it now, and the zygote had otherwise, or never had."""

    environment: dict[bytes, bytes]
    umask: int
    blocked_signals: list[int]
    streams: list[int]  # which of the parent's standard output and error go with the request

    @classmethod
    def here(cls) -> "Surroundings":
        """Those of the calling thread."""
        blocked = [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())]
        return cls(dict(os.environb), _umask(), blocked, [stream for stream in (1, 2) if _is_open(stream)])

    def take_on(self) -> None:
        """Make them those of this process. Its directory and ``sys.path`` come with the standard preparations."""
        zone = os.environb.get(b"TZ")
        for name in os.environb.keys() - self.environment.keys():
            del os.environb[name]
        for name, value in self.environment.items():
            if os.environb.get(name) != value:
                os.environb[name] = value
        if os.environb.get(b"TZ") != zone:
            time.tzset()
        os.umask(self.umask)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.blocked_signals)


def _umask() -> int:
    """This process's mask for new files, which the system call only tells to who changes it, for all threads."""
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
