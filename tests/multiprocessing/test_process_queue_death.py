"""Processes are killed while they put and get: nobody else loses anything, and nobody hangs."""

import ctypes
import os
import random
import select
import signal
import threading
import time

import pytest
import queue_scenes as scenes

ROUNDS = 15


def killed(process):
    os.kill(process.pid, signal.SIGKILL)
    process.join(scenes.LIMIT)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
@pytest.mark.parametrize("length", [10, 5_000, 400_000])
def test_writers_are_killed(kind, length):
    context, items = scenes.made("plait", "fork", kind)
    chance = random.Random(length)
    survivor = context.Process(target=scenes.put_numbers, args=(items, -1, 200, length))
    survivor.start()
    seen = {}

    def get():
        writer, n, body = items.get()
        assert body == b"x" * length
        assert seen.get(writer, -1) < n, "in each writer's order"
        if writer == -1:
            assert n == seen.get(-1, -1) + 1, "nothing of the survivor's is lost"
        seen[writer] = n
        return writer

    for round_ in range(ROUNDS):
        victim = context.Process(target=scenes.put_for_ever, args=(items, round_, length))
        victim.start()
        while get() != round_:
            pass
        for _ in range(chance.randrange(20)):
            get()
        killed(victim)
    while seen.get(-1) != 199:
        get()
    scenes.joined(survivor)


def test_readers_are_killed():
    context, items = scenes.made("plait")
    # What a reader has told is not in its own hands any more.
    _, told = scenes.made("plait", "fork", "SimpleQueue")

    def reader():
        process = context.Process(target=scenes.get_for_ever, args=(items, told))
        process.start()
        return process

    readers = [reader() for _ in range(3)]
    count = 5_000
    writer = threading.Thread(target=scenes.put_numbers, args=(items, 0, count, 100))
    writer.start()
    got = []
    for _ in range(ROUNDS):
        got.extend(told.get()[1][1] for _ in range(20))
        killed(readers.pop(0))
        readers.append(reader())
    writer.join(scenes.LIMIT)
    while not items.empty() or told._reader.poll(1):
        got.append(told.get()[1][1])
    for process in readers:
        killed(process)
    assert len(got) == len(set(got))
    assert count - len(got) <= ROUNDS, "more than each that was killed had in its hands"


def test_a_reader_is_killed_in_the_midst_of_a_message():
    context, items = scenes.made("plait", "fork", "SimpleQueue")
    halfway = context.Event()
    body = b"x" * 5_000_000

    def half():
        # A writer that stops in the midst of its message.
        threading.Timer(0.2, halfway.set).start()
        items.put(body)

    writer = context.Process(target=half)
    writer.start()
    assert halfway.wait(scenes.LIMIT)
    os.kill(writer.pid, signal.SIGSTOP)
    reader = context.Process(target=items.get)
    reader.start()
    # All that is there has been read: the reader has the head, and waits.
    end = time.monotonic() + scenes.LIMIT
    while not items.empty() and time.monotonic() < end:
        time.sleep(0.01)
    killed(reader)
    os.kill(writer.pid, signal.SIGCONT)
    second = context.Process(target=scenes.put_all, args=(items, ["next"]))
    second.start()
    assert items.get() == "next"
    scenes.joined(writer, second)


def test_a_writer_is_killed_while_its_reader_waits():
    context, items = scenes.made("plait", "fork", "SimpleQueue")
    writer = context.Process(target=scenes.put_all, args=(items, [b"x" * 5_000_000]))
    writer.start()
    while items.empty():
        select.select([items._reader], [], [], scenes.LIMIT)
    killed(writer)
    items_after = context.Process(target=scenes.put_all, args=(items, ["next"]))
    items_after.start()
    assert items.get() == "next"
    scenes.joined(items_after)


@pytest.mark.parametrize("reading", [True, False])
def test_who_dies_with_an_end_leaves_it(reading):
    context, items = scenes.made("plait", "fork", "SimpleQueue")
    lock = items._rlock if reading else items._wlock
    has_it = context.Event()

    def hold():
        lock.acquire()
        has_it.set()
        signal.pause()

    holder = context.Process(target=hold)
    holder.start()
    assert has_it.wait(scenes.LIMIT)
    assert not lock.acquire(False)
    killed(holder)
    assert lock.acquire(True, scenes.LIMIT)
    lock.release()
    items.put(1)
    assert items.get() == 1


@pytest.mark.parametrize("make", scenes.MAKES)
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_reader_hears_of_the_last_writers_death(make, method):
    context, items = scenes.made(make, method, "SimpleQueue")
    _, told = scenes.made(make, method, "SimpleQueue")
    reader = context.Process(target=scenes.get_until_the_end, args=(items, told))
    reader.start()
    assert told.get() == "begun"
    writer = context.Process(target=scenes.put_for_ever, args=(items, 0, 10))
    writer.start()
    items._writer.close()
    killed(writer)
    assert told.get() == "ended"
    scenes.joined(reader)


def unshare_process_ids():
    """From now on the children of this process live in another namespace of process ids. False: that is forbidden here."""
    clone_newpid = 0x20000000
    return ctypes.CDLL(None, use_errno=True).unshare(clone_newpid) == 0


@pytest.mark.parametrize("reading", [True, False])
def test_who_lives_in_another_namespace_of_process_ids_is_not_robbed(reading):
    context, items = scenes.made("plait", "fork", "SimpleQueue")
    lock = items._rlock if reading else items._wlock

    def elsewhere():
        # In this namespace there is no process with the holder's id.
        os._exit(int(lock.acquire(timeout=0.2)))

    def holds_while_another_tries():
        assert lock.acquire()
        if not unshare_process_ids():
            os._exit(77)
        child = os.fork()
        if child == 0:
            elsewhere()
        taken = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        lock.release()
        os._exit(taken)

    holder = context.Process(target=holds_while_another_tries)
    holder.start()
    holder.join(scenes.LIMIT)
    if holder.exitcode == 77:
        pytest.skip("no other namespace can be made here")
    assert holder.exitcode == 0
    assert lock.acquire(True, scenes.LIMIT)
