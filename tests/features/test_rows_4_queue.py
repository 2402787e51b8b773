"""Section 4 of the feature list: ``queue.Queue`` and its relatives, the universal queues of ``plait`` among them."""

import queue as standard
import sys
import time

import plait
import programs
import pytest
from plait import _native
from thread_sides import Strand, settle

NAMES = ["Queue", "LifoQueue", "PriorityQueue"]


def waits_at_least(seconds, error, call, *args, **kwargs):
    began = time.monotonic()
    with pytest.raises(error):
        call(*args, **kwargs)
    assert time.monotonic() - began >= seconds


def test_4_the_implementation_that_runs(queues):
    for name in NAMES:
        made = getattr(queues, name)()
        assert type(made) is getattr(queues, name) is getattr(_native, name if queues is plait else "Threading" + name)
        assert type(made).__module__ == ("plait" if queues is plait else "plait.queue")
    if queues is not plait:
        assert (queues.Empty, queues.Full, queues.SimpleQueue) == (standard.Empty, standard.Full, standard.SimpleQueue)


def test_4_the_implementation_that_runs_in_a_program(tmp_path):
    source = """
        import queue
        print(*(type(getattr(queue, name)()).__module__ for name in ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue")))
    """
    said = {way: programs.run_as(way, tmp_path, source).stdout.split() for way in programs.WAYS}
    assert said["host"] == ["queue"] * 3 + ["_queue"]
    assert said["run"] == said["mirror"] == ["plait.queue"] * 3 + ["_queue"]


@pytest.mark.parametrize("maxsize", [0, -1])
def test_4_1_first_in_first_out(queues, maxsize):
    queue = queues.Queue(maxsize)
    for i in range(1000):
        queue.put(i)
    assert queue.qsize() == 1000 and not queue.full()
    assert [queue.get() for _ in range(1000)] == list(range(1000))


def test_4_1_nothing_is_lost_among_threads(queues, switching_often):
    queue, each = queues.Queue(), 500

    def puts(number):
        for i in range(each):
            queue.put((number, i))

    def gets():
        return [queue.get(timeout=10) for _ in range(each)]

    putting = [Strand(puts, number) for number in range(4)]
    got = [strand.result() for strand in [Strand(gets) for _ in range(4)]]
    for strand in putting:
        strand.result()
    assert sorted(item for items in got for item in items) == [(number, i) for number in range(4) for i in range(each)]
    for items in got:  # what one thread put comes out in its order
        assert all([i for n, i in items if n == number] == sorted(i for n, i in items if n == number) for number in range(4))


def test_4_2_three_ways_to_full(queues):
    queue = queues.Queue(maxsize=1)
    queue.put("first")
    for call in (lambda: queue.put_nowait(1), lambda: queue.put(1, block=False), lambda: queue.put(1, False, 30)):
        with pytest.raises(standard.Full):
            call()
    waits_at_least(0.03, standard.Full, queue.put, 1, timeout=0.03)
    with pytest.raises(ValueError, match="^'timeout' must be a non-negative number$"):
        queue.put(1, timeout=-1)
    waiting = Strand(queue.put, "second").blocked()
    assert queue.get() == "first"
    waiting.result()
    assert queue.get() == "second"


def test_4_3_three_ways_to_empty(queues):
    queue = queues.Queue()
    for call in (queue.get_nowait, lambda: queue.get(block=False), lambda: queue.get(False, 30)):
        with pytest.raises(standard.Empty):
            call()
    waits_at_least(0.03, standard.Empty, queue.get, timeout=0.03)
    with pytest.raises(ValueError, match="^'timeout' must be a non-negative number$"):
        queue.get(timeout=-1)
    for args in ((), (True, 30)):
        waiting = Strand(queue.get, *args).blocked()
        queue.put("item")
        assert waiting.result() == "item"


def test_4_4_qsize_empty_full(queues):
    queue = queues.Queue(2)
    seen = []
    for step in (lambda: None, lambda: queue.put(1), lambda: queue.put(2), queue.get, queue.get):
        step()
        seen.append((queue.qsize(), queue.empty(), queue.full()))
    assert seen == [(0, True, False), (1, False, False), (2, False, True), (1, False, False), (0, True, False)]
    assert queue.maxsize == 2


def test_4_5_join_waits_until_all_is_done(queues):
    """Not until the queue is empty: it is empty long before."""
    queue = queues.Queue()
    queue.join()
    for i in range(3):
        queue.put(i)
    joining = Strand(queue.join).blocked()
    for _ in range(3):
        queue.get()
    assert queue.empty()
    for left in (2, 1):
        queue.task_done()
        settle([joining])
        assert not joining.over and queue.unfinished_tasks == left
    queue.task_done()
    joining.result()
    with pytest.raises(ValueError, match=r"^task_done\(\) called too many times$"):
        queue.task_done()


def test_4_6_three_orders(queues):
    orders = {}
    for name in NAMES:
        queue = getattr(queues, name)()
        for item in (2, 3, 1):
            queue.put(item)
        orders[name] = [queue.get() for _ in range(3)]
    assert orders == {"Queue": [2, 3, 1], "LifoQueue": [1, 3, 2], "PriorityQueue": [1, 2, 3]}


@pytest.mark.parametrize("name", NAMES)
def test_4_7_producers_and_consumers(queues, name):
    """Over a bounded queue; the end markers, one per consumer, sort after all items."""
    queue, end = getattr(queues, name)(5), (1_000_000,)

    def produces(number):
        for i in range(100):
            queue.put((number * 100 + i,))

    def consumes():
        got = []
        while (item := queue.get()) != end:
            got.append(item[0])
            queue.task_done()
        queue.task_done()
        return got

    consumers = [Strand(consumes).blocked() for _ in range(2)]
    for producer in [Strand(produces, number) for number in range(3)]:
        producer.result()
    queue.join()
    for _ in consumers:
        queue.put(end)
    queue.join()
    assert sorted(i for consumer in consumers for i in consumer.result()) == list(range(300))
    assert queue.empty() and queue.unfinished_tasks == 0


def test_4_7_as_a_program(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import queue
        import threading
        def producer():
            for i in range(10):
                q.put(i)
            for _ in consumers:
                q.put(None)
        def consumer():
            while (item := q.get()) is not None:
                with lock:
                    got.append(item)
                q.task_done()
            q.task_done()
        q, lock, got = queue.Queue(3), threading.Lock(), []
        consumers = [threading.Thread(target=consumer) for _ in range(3)]
        for thread in consumers:
            thread.start()
        threading.Thread(target=producer).start()
        for thread in consumers:
            thread.join()
        q.join()
        print(sorted(got), q.qsize())
        """,
    )
    assert end == (0, f"{list(range(10))} 0\n", "")


def test_4_8_a_timeout_guards_against_deadlock(queues):
    """Two threads, each of which wants to get before it puts."""
    a, b = queues.Queue(), queues.Queue()

    def party(mine, other, patience):
        try:
            return mine.get(timeout=patience)
        except standard.Empty:
            return "gave up"
        finally:
            other.put("item")

    patient = Strand(party, a, b, 10)
    assert Strand(party, b, a, 0.02).result() == "gave up"
    assert patient.result() == "item" and b.get(timeout=5) == "item"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="queues can be shut down from Python 3.13 on")
def test_4_shutdown_as_the_host_python(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import queue
        import threading
        def waits():
            try:
                q.get()
            except queue.ShutDown as error:
                print(type(error).__module__, type(error).__name__)
        q = queue.Queue()
        q.put("item")
        q.shutdown()
        print(q.get())
        for call in (q.get, q.get_nowait, lambda: q.put(1)):
            try:
                call()
            except queue.ShutDown as error:
                print(repr(error))
        q = queue.Queue()
        thread = threading.Thread(target=waits)
        thread.start()
        q.shutdown(immediate=True)
        thread.join()
        """,
    )
    assert end == (0, "item\n" + "ShutDown()\n" * 3 + "queue ShutDown\n", "")
