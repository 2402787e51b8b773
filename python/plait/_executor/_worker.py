"""What runs in a cluster's worker: it makes a call that came as bytes, and answers in bytes.

Bytes, so that pickling is plait's on both sides, with the same words whatever the engine: it says which argument cannot cross, and a result that cannot be pickled is the call's failure, not the
cluster's. Engines carry bytes fast. An answer begins with a head that tells who answered.
"""

import os
import pickle
import struct
import time
from typing import Any

from plait._executor._stored import put_back
from plait._process_pool import _messages, _pickling
from plait._process_pool._stats import resident_memory
from plait._process_pool._worker_main import dump_error, with_traceback

# The kind of message, the worker's process id, a number of its own, nanoseconds, resident memory.
HEAD = struct.Struct("<BIQQQ")
# Longer answers are not copied behind their head.
_SHORT = 64 * 1024
# Functions that were loaded; at most so many, for workers outlive programs.
_known: dict[bytes, Any] = {}
_MOST_KNOWN = 256
# Memory is looked at once in so many nanoseconds.
_LOOK = 1_000_000_000

_pid = 0
_number = 0
_memory = 0
_looked = 0


class Parcel:
    """Several buffers. When it is pickled, they are left out of the pickle, by whoever can do that."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def __reduce_ex__(self, protocol: Any) -> Any:
        parts = [pickle.PickleBuffer(part) for part in self.parts] if protocol >= 5 else [bytes(part) for part in self.parts]
        return Parcel, (parts,)


def run(call: "bytes | Parcel", *stored: Any) -> "bytes | Parcel":
    """Make the call. `stored` are the arguments that come from the engine's store."""
    began = time.perf_counter_ns()
    kind = _messages.NOT_LOADED
    try:
        if len(_known) > _MOST_KNOWN:
            _known.clear()
        parts = [call] if isinstance(call, bytes) else list(call.parts)
        function, args, kwargs = _pickling.load_call(parts, _known)
        if stored:
            args, kwargs = put_back(args, kwargs, stored)
        kind = _messages.RAISED
        answer = _dump(function(*args, **kwargs))
        kind = _messages.RETURNED
    except BaseException as error:
        answer = _dump_error(error)
    return _packed(kind, time.perf_counter_ns() - began, answer)


def _dump(thing: Any) -> list[Any]:
    """A class of the program's ``__main__`` came by value, and its instances can only go back so. Where it came from, cloudpickle knows it again."""
    try:
        return _pickling.dump(thing)
    except Exception:
        parts = _pickling.dump_by_value(thing)
        if parts is None:
            raise
        return parts


def _dump_error(error: BaseException) -> list[Any]:
    try:
        return _dump(with_traceback(error))
    except Exception:
        return dump_error(error)


def _packed(kind: int, nanoseconds: int, parts: list[Any]) -> "bytes | Parcel":
    global _pid, _number, _memory, _looked
    pid = os.getpid()
    if pid != _pid:
        _pid, _number, _looked = pid, int.from_bytes(os.urandom(8), "little"), 0
    now = time.monotonic_ns()
    if now - _looked > _LOOK:
        _memory, _looked = resident_memory(pid), now
    head = HEAD.pack(kind, pid, _number, nanoseconds, _memory)
    if len(parts) == 1 and memoryview(parts[0]).nbytes <= _SHORT:
        return head + bytes(parts[0])
    return Parcel([head, *parts])


def unpack(answer: "bytes | Parcel") -> tuple[tuple[int, int, int, int, int], list[Any]]:
    """On the other side: the head, and the parts."""
    if isinstance(answer, bytes):
        return HEAD.unpack_from(answer), [memoryview(answer)[HEAD.size :]]
    return HEAD.unpack(answer.parts[0]), list(answer.parts[1:])
