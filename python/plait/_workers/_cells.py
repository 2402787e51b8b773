"""What workers tell all the time, in memory that they share with the supervisor: a cell of a few numbers for each process.

Each number has one writer and is one aligned word, so nobody reads half of it, and no locks are needed. What is read is a moment old, which does for all its uses.
"""

import mmap
import os
import struct

_NUMBERS = struct.Struct("=QQQQQ")
_WORD = struct.Struct("=Q")
_SIZE = 64
_BEATS, _CONNECTIONS, _STAYING, _REQUESTS, _ACCEPTING = 0, 8, 16, 24, 32


class Cells:
    """The memory. `descriptor`: of an existing one, which stays the caller's; None makes new memory.

    Safe to use from all threads, for one writer of a cell."""

    def __init__(self, count: int, descriptor: int | None = None) -> None:
        self.count = count
        self.descriptor = descriptor if descriptor is not None else _new(count * _SIZE)
        self._memory = mmap.mmap(self.descriptor, count * _SIZE)
        self._all = struct.Struct("=" + f"QQQQQ{_SIZE - _NUMBERS.size}x" * count)

    def clear(self, cell: int) -> None:
        """For a new process."""
        self._memory[cell * _SIZE : (cell + 1) * _SIZE] = bytes(_SIZE)

    def read(self, cell: int) -> tuple[int, int, int]:
        """How often its loop has beaten, how many connections it has, and how many requests it has had."""
        beats, connections, _, requests, _ = _NUMBERS.unpack_from(self._memory, cell * _SIZE)
        return beats, connections, requests

    def fewest_elsewhere(self, cell: int) -> tuple[int, int] | None:
        """The smallest number of connections that another accepting worker has, and of those that stay. None: there is no other."""
        numbers = self._all.unpack_from(self._memory)
        others = [at for at, accepting in enumerate(numbers[4::5]) if accepting and at != cell]
        if not others:
            return None
        connections, staying = numbers[1::5], numbers[2::5]
        return min(connections[other] for other in others), min(staying[other] for other in others)

    def set_beats(self, cell: int, beats: int) -> None:
        """For the worker whose it is."""
        _WORD.pack_into(self._memory, cell * _SIZE + _BEATS, beats)

    def set_connections(self, cell: int, connections: int) -> None:
        """For the worker whose it is."""
        _WORD.pack_into(self._memory, cell * _SIZE + _CONNECTIONS, connections)

    def set_staying(self, cell: int, connections: int) -> None:
        """For the worker whose it is."""
        _WORD.pack_into(self._memory, cell * _SIZE + _STAYING, connections)

    def set_requests(self, cell: int, requests: int) -> None:
        """For the worker whose it is."""
        _WORD.pack_into(self._memory, cell * _SIZE + _REQUESTS, requests)

    def set_accepting(self, cell: int, accepting: bool) -> None:
        """For the worker whose it is, and for the supervisor once that is gone."""
        _WORD.pack_into(self._memory, cell * _SIZE + _ACCEPTING, accepting)

    def close(self) -> None:
        """Of the supervisor."""
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
