"""What does not fit waits in the process that put it: in order, counted, and sent before the process ends."""

import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import threading
import time

import pytest
import queue_scenes as scenes

from plait.multiprocessing import queues


class Unpicklable:
    def __reduce__(self):
        raise NotImplementedError("no pickle of this")


class Interrupts:
    def __reduce__(self):
        raise KeyboardInterrupt


def test_put_does_not_wait_for_a_reader():
    _, items = scenes.made("plait")
    for n in range(5_000):
        items.put((n, b"x" * 1000))
    assert items.qsize() == 5_000
    assert [items.get(timeout=scenes.LIMIT)[0] for _ in range(5_000)] == list(range(5_000))
    items.close()
    items.join_thread()
    assert items.qsize() == 0


def test_a_bound_counts_what_waits():
    _, items = scenes.made("plait", "fork", "Queue", 3)
    for n in range(3):
        items.put(bytes([n]) * 1_000_000)
    assert items.full() and items.qsize() == 3
    with pytest.raises(queue.Full):
        items.put(b"", timeout=0.01)
    assert [items.get(timeout=scenes.LIMIT)[0] for _ in range(3)] == [0, 1, 2]
    items.put(b"small")
    assert items.get(timeout=scenes.LIMIT) == b"small"


@pytest.mark.parametrize("make", scenes.MAKES)
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_sends_all_before_it_ends(make, method):
    context, items = scenes.made(make, method)
    child = context.Process(target=scenes.put_numbers, args=(items, 0, 2_000, 1_000))
    child.start()
    assert [items.get(timeout=scenes.LIMIT)[1] for _ in range(2_000)] == list(range(2_000))
    scenes.joined(child)


def puts_where_the_feeder_lingers(first, second):
    # The feeder of each queue is still there when the next put finds one.
    first.put(b"a" * 400_000)
    while not first._unsent().is_empty():
        time.sleep(0.001)
    second.put(b"b" * 400_000)
    first.put(b"c" * 3_000_000)


def test_a_child_sends_what_came_while_another_queue_was_put_into():
    context, first = scenes.made("plait")
    _, second = scenes.made("plait")
    child = context.Process(target=puts_where_the_feeder_lingers, args=(first, second))
    child.start()
    assert len(first.get(timeout=scenes.LIMIT)) == 400_000
    assert len(second.get(timeout=scenes.LIMIT)) == 400_000
    # Only the child's exit waits now.
    child.join(0.5)
    assert child.exitcode is None
    assert len(first.get(timeout=scenes.LIMIT)) == 3_000_000
    scenes.joined(child)


def cancels(items):
    items.cancel_join_thread()
    for _ in range(100):
        items.put(b"x" * 100_000)


def cancels_afterwards(items):
    items.put(b"x" * 3_000_000)
    items.cancel_join_thread()


@pytest.mark.parametrize("make", scenes.MAKES)
@pytest.mark.parametrize("body", [cancels, cancels_afterwards])
def test_a_child_need_not_wait(make, body):
    context, items = scenes.made(make)
    child = context.Process(target=body, args=(items,))
    child.start()
    scenes.joined(child)


def test_a_main_program_sends_all_before_it_ends():
    program = (
        "import multiprocessing, time\n"
        "from plait.multiprocessing.queues import Queue\n"
        "def get(items):\n"
        "    time.sleep(0.2)\n"
        "    assert [items.get()[0] for _ in range(50)] == list(range(50))\n"
        "    print('all')\n"
        "context = multiprocessing.get_context('fork')\n"
        "items = Queue(ctx=context)\n"
        "child = context.Process(target=get, args=(items,))\n"
        "child.start()\n"
        "for n in range(50): items.put((n, b'x' * 100_000))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=scenes.LIMIT)
    assert (done.stdout, done.stderr, done.returncode) == ("all\n", "", 0)


@pytest.mark.parametrize("make", scenes.MAKES)
def test_what_cannot_be_pickled_is_reported(make, capsys):
    _, items = scenes.made(make)
    items.put(Unpicklable())
    items.put("next")
    assert items.get(timeout=scenes.LIMIT) == "next"
    said = capsys.readouterr().err
    assert said.startswith("Traceback (most recent call last):\n")
    assert said.endswith("NotImplementedError: no pickle of this\n")
    assert items.qsize() == 0


@pytest.mark.parametrize("make", scenes.MAKES)
def test_a_subclass_hears_of_it(make):
    told = []
    heard = threading.Event()

    class Safe(scenes.MAKES[make].Queue):
        def _on_queue_feeder_error(self, error, item):
            told.append((type(error), type(item), isinstance(sys.exc_info()[1], NotImplementedError)))
            heard.set()

    items = Safe(2, ctx=multiprocessing.get_context("fork"))
    items.put(Unpicklable())
    assert heard.wait(scenes.LIMIT)
    assert told == [(NotImplementedError, Unpicklable, True)]


def test_an_interrupt_while_pickling_comes_through():
    _, items = scenes.made("plait")
    with pytest.raises(KeyboardInterrupt):
        items.put(Interrupts())
    assert items.empty()


def test_the_object_is_pickled_when_it_is_put():
    _, items = scenes.made("plait")
    thing = [1]
    items.put(thing)
    thing.append(2)
    assert items.get(timeout=scenes.LIMIT) == [1]


def test_a_forked_child_has_nothing_to_send():
    context, items = scenes.made("plait")
    for _ in range(20):
        items.put(b"x" * 100_000)
    child = context.Process(target=scenes.put_all, args=(items, ["from the child"]))
    child.start()
    got = [items.get(timeout=scenes.LIMIT) for _ in range(21)]
    scenes.joined(child)
    assert sorted(map(len, got)) == [14] + [100_000] * 20
    assert isinstance(items, queues.Queue)


def test_a_broken_queue_ends():
    _, items = scenes.made("plait")
    for _ in range(10):
        items.put(b"x" * 200_000)
    items._terminate_broken()
    assert items._closed and items._unsent().is_empty()


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
def test_a_signal_ends_a_wait(kind):
    _, items = scenes.made("plait", "fork", kind)

    class Woken(Exception):
        pass

    def handler(*_):
        raise Woken

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        with pytest.raises(Woken):
            items.get()
        timer.join()
        signal.signal(signal.SIGUSR1, lambda *_: items.put("from the handler"))
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        assert items.get() == "from the handler"
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


class Woken(Exception):
    pass


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
def test_a_signal_loses_no_long_message(kind):
    context, items = scenes.made("plait", "fork", kind)
    bodies = [bytes([n]) * 1_000_000 for n in range(50)]

    def handler(*_):
        raise Woken

    before = signal.signal(signal.SIGALRM, handler)
    writer = context.Process(target=scenes.put_all, args=(items, [*bodies, None]))
    writer.start()
    got, end = [], time.monotonic() + scenes.LIMIT
    try:
        while len(got) < len(bodies) and time.monotonic() < end:
            try:
                # Often in the midst of a message. Between two of them no Python code runs that could be interrupted.
                signal.setitimer(signal.ITIMER_REAL, 0.002)
                got.extend(iter(items.get, None))
                break
            except Woken:
                continue
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    writer.join(0 if len(got) < len(bodies) else scenes.LIMIT)
    ended = writer.exitcode
    writer.kill()
    assert ([body[0] for body in got], ended) == (list(range(50)), 0)
    assert got == bodies


def test_a_short_time_loses_no_long_message():
    context, items = scenes.made("plait")
    writer = context.Process(target=scenes.put_numbers, args=(items, 0, 100, 2_000_000))
    writer.start()
    got, end = [], time.monotonic() + scenes.LIMIT
    while 99 not in got and time.monotonic() < end:
        try:
            got.append(items.get(timeout=0.0002)[1])
        except queue.Empty:
            continue
    assert got == list(range(100))
    scenes.joined(writer)
