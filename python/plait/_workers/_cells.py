"""What workers tell all the time, in memory that they share with the supervisor: a cell of a few numbers for each process.

Each number has one writer and is one aligned word, so nobody reads half of it, and no locks are needed. What is read is a moment old, which does for all its uses.
"""

import mmap
import os

_SIZE = 64  # bytes: no two processes write to one line of a cache
_WORDS = _SIZE // 8
_BEATS, _CONNECTIONS, _STAYING, _REQUESTS, _ACCEPTING = range(5)


class Cells:
    """The memory. `descriptor`: of an existing one, which stays the caller's; None makes new memory.

    Safe to use from all threads, for one writer of a cell."""

    def __init__(self, count: int, descriptor: int | None = None) -> None:
        self.count = count
        self.descriptor = descriptor if descriptor is not None else _new(count * _SIZE)
        self._memory = mmap.mmap(self.descriptor, count * _SIZE)
        self._words = memoryview(self._memory).cast("Q")

    def clear(self, cell: int) -> None:
        """For a new process."""
        self._memory[cell * _SIZE : (cell + 1) * _SIZE] = bytes(_SIZE)

    def read(self, cell: int) -> tuple[int, int, int]:
        """How often its loop has beaten, how many connections it has, and how many requests it has had."""
        numbers = self._words[cell * _WORDS : (cell + 1) * _WORDS]
        return numbers[_BEATS], numbers[_CONNECTIONS], numbers[_REQUESTS]

    def fewest_elsewhere(self, cell: int) -> tuple[int, int] | None:
        """The smallest number of connections that another accepting worker has, and of those that stay. None: there is no other."""
        words = self._words
        fewest = None
        at = -1
        for accepting in words[_ACCEPTING::_WORDS].tolist():
            at += 1
            if accepting and at != cell:
                connections, staying = words[at * _WORDS + _CONNECTIONS], words[at * _WORDS + _STAYING]
                fewest = (connections, staying) if fewest is None else (min(fewest[0], connections), min(fewest[1], staying))
        return fewest

    def set_beats(self, cell: int, beats: int) -> None:
        """For the worker whose it is."""
        self._words[cell * _WORDS + _BEATS] = beats

    def set_connections(self, cell: int, connections: int) -> None:
        """For the worker whose it is."""
        self._words[cell * _WORDS + _CONNECTIONS] = connections

    def set_staying(self, cell: int, connections: int) -> None:
        """For the worker whose it is."""
        self._words[cell * _WORDS + _STAYING] = connections

    def set_requests(self, cell: int, requests: int) -> None:
        """For the worker whose it is."""
        self._words[cell * _WORDS + _REQUESTS] = requests

    def set_accepting(self, cell: int, accepting: bool) -> None:
        """For the worker whose it is."""
        self._words[cell * _WORDS + _ACCEPTING] = accepting

    def close(self) -> None:
        """Of the supervisor."""
        self._words.release()
        self._memory.close()
        os.close(self.descriptor)


def _new(size: int) -> int:
    try:
        descriptor = os.memfd_create("plait-workers", os.MFD_CLOEXEC)
    except OSError:  # forbidden in some sandboxes
        import tempfile

        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, size)
    return descriptor
