"""How much a queue between processes takes, and what bad input gets."""

import gc
import multiprocessing
import os
import pickle

import pytest
import queue_scenes as scenes

from plait.multiprocessing import queues


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_nothing_is_left_of_them(kind):
    gc.collect()
    before = descriptors()
    for _ in range(300):
        _, items = scenes.made("plait", "fork", kind)
        items.put("x" * 1000)
        items.get()
        items.close()
    del items
    assert descriptors() <= before


def test_a_bound_that_is_none():
    context = multiprocessing.get_context("fork")
    for bound in (0, -1, -(2**70)):
        items = queues.Queue(bound, ctx=context)
        assert items._maxsize == 2**31 - 1 and not items.full()
    with pytest.raises(OverflowError):
        queues.Queue(2**31, ctx=context)
    with pytest.raises(TypeError):
        queues.Queue("3", ctx=context)
    with pytest.raises(TypeError):
        queues.Queue(2.5, ctx=context)


def test_a_queue_that_was_not_initialised():
    items = queues.Queue.__new__(queues.Queue)
    for use in (lambda: items.put(1), items.get, items.qsize, items.close):
        with pytest.raises(RuntimeError, match="__init__"):
            use()


def test_other_descriptors_are_refused():
    items = queues.Queue.__new__(queues.Queue)
    read, write = os.pipe()
    with pytest.raises(OSError):
        items._open(read, write, None)
    with pytest.raises(RuntimeError):
        items.get()
    with pytest.raises(ValueError, match="negative file descriptor"):
        items._open(-1, -1, None)


class Refuses:
    def __reduce__(self):
        return _refuse, ()


def _refuse():
    raise LookupError("not to be made")


def test_what_cannot_be_unpickled_fails_alone():
    _, items = scenes.made("plait")
    items.put(Refuses())
    items.put("next")
    with pytest.raises(LookupError, match="not to be made"):
        items.get()
    assert items.get() == "next"


def test_a_message_of_64_mib():
    context, there = scenes.made("plait")
    _, back = scenes.made("plait")
    child = context.Process(target=scenes.echo, args=(there, back))
    child.start()
    block = os.urandom(1 << 20) * 64
    there.put(block)
    assert back.get(timeout=scenes.LIMIT) == block
    there.put(None)
    scenes.joined(child)


def test_what_multiprocessing_pickles_by_itself():
    _, items = scenes.made("plait")
    reading, writing = multiprocessing.Pipe(duplex=False)
    items.put([writing])
    (copy,) = items.get(timeout=scenes.LIMIT)
    copy.send("plait")
    assert reading.recv() == "plait"
    with pytest.raises(RuntimeError):
        pickle.dumps(items)
