"""One body on the standard library's queues between processes and on plait's, by all start methods."""

import decimal
import multiprocessing
import multiprocessing.connection
import multiprocessing.queues
import pickle
import queue
import sys
import threading

import pytest
import queue_scenes as scenes

# None ends the echo, and so comes inside of others.
OBJECTS = [
    (None,),
    True,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    2**200,
    0.5,
    float("inf"),
    "",
    "plait",
    "ä€\U0001f40d",
    "a\ud800b",
    b"",
    b"\x00\xff" * 100,
    (),
    (1, "two", b"three", 4.0, None),
    ((1, (2, (3, (4, (5, (6,))))))),
    tuple(range(40)),
    [1, [2, {"three": 4}]],
    {"a": (1, 2), "b": {3, 4}},
    decimal.Decimal("1.5"),
    bytearray(b"abc"),
    ValueError("plait"),
    int,
    "x" * 1_000_000,
    b"y" * 3_000_000,
]


@pytest.fixture(params=scenes.MAKES)
def make(request):
    return request.param


@pytest.mark.parametrize("method", scenes.METHODS)
def test_objects_go_there_and_back(make, method):
    context, there = scenes.made(make, method)
    _, back = scenes.made(make, method)
    child = context.Process(target=scenes.echo, args=(there, back))
    child.start()
    for item in OBJECTS:
        there.put(item)
        got = back.get(timeout=scenes.LIMIT)
        assert type(got) is type(item)
        assert got == item or repr(got) == repr(item)
    there.put(None)
    scenes.joined(child)
    assert there.empty() and back.empty()


def test_what_is_one_object_stays_one(make):
    _, items = scenes.made(make)
    text = "".join(["pl", "ait"])
    pair = (text, 1)
    items.put((text, text, pair, pair))
    first, second, third, fourth = items.get(timeout=scenes.LIMIT)
    assert first is second and third is fourth and third[0] is first


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_types(make, kind):
    _, items = scenes.made(make, "fork", kind)
    assert isinstance(items, getattr(multiprocessing.queues, kind))
    if sys.version_info >= (3, 12) or kind == "SimpleQueue":
        assert getattr(scenes.MAKES[make], kind)[int]
    with pytest.raises(RuntimeError, match="objects should only be shared between processes through inheritance"):
        pickle.dumps(items)
    with pytest.raises(TypeError, match="ctx"):
        getattr(scenes.MAKES[make], kind)()
    items.weak = 1
    assert items.__dict__["weak"] == 1


def test_a_bound(make):
    _, items = scenes.made(make, "fork", "Queue", 2)
    items.put(1)
    items.put(2)
    assert items.full() and items.qsize() == 2
    with pytest.raises(queue.Full):
        items.put(3, False)
    with pytest.raises(queue.Full):
        items.put_nowait(3)
    with pytest.raises(queue.Full):
        items.put(3, True, 0.01)
    with pytest.raises(queue.Full):
        items.put(3, timeout=-1)
    assert [items.get(timeout=scenes.LIMIT), items.get(timeout=scenes.LIMIT)] == [1, 2]
    assert not items.full() and items.qsize() == 0


def test_nothing_to_get(make):
    _, items = scenes.made(make)
    assert items.empty() and not items.full() and items.qsize() == 0
    for arguments in ((False,), (True, 0.01), (True, -1), (True, 0)):
        with pytest.raises(queue.Empty):
            items.get(*arguments)
    with pytest.raises(queue.Empty):
        items.get_nowait()
    with pytest.raises(TypeError):
        items.get(True, "soon")


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
def test_closed(make, kind):
    _, items = scenes.made(make, "fork", kind)
    with pytest.raises(AssertionError, match="not closed"):
        items.join_thread()
    items.close()
    for use in (lambda: items.put(1), items.get, lambda: items.put_nowait(1), items.get_nowait):
        with pytest.raises(ValueError, match=r"^Queue <.*> is closed$"):
            use()
    assert items.empty()
    items.close()
    items.join_thread()


def test_closed_after_use(make):
    _, items = scenes.made(make)
    items.put(1)
    assert items.get(timeout=scenes.LIMIT) == 1
    items.close()
    items.join_thread()
    with pytest.raises(OSError, match="handle is closed"):
        items.empty()


def test_simple_queue(make):
    context, there = scenes.made(make, "fork", "SimpleQueue")
    _, back = scenes.made(make, "fork", "SimpleQueue")
    assert there.empty() and not there._reader.poll()
    child = context.Process(target=scenes.echo, args=(there, back))
    child.start()
    for item in OBJECTS:
        there.put(item)
        assert repr(back.get()) == repr(item)
    there.put(None)
    scenes.joined(child)
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        there.put(threading.Lock())
    there.close()
    for use in (lambda: there.put(1), there.get, there.empty):
        with pytest.raises(OSError, match="handle is closed"):
            use()


@pytest.mark.parametrize("method", scenes.METHODS)
def test_tasks_are_done(make, method):
    context, there = scenes.made(make, method, "JoinableQueue")
    _, back = scenes.made(make, method)
    there.join()
    with pytest.raises(ValueError, match=r"^task_done\(\) called too many times$"):
        there.task_done()
    child = context.Process(target=scenes.echo_done, args=(there, back))
    child.start()
    for n in range(100):
        there.put(n)
    there.join()
    assert [back.get(timeout=scenes.LIMIT) for _ in range(100)] == list(range(100))
    there.put(None)
    there.join()
    scenes.joined(child)


@pytest.mark.parametrize("bound", [0, 5])
def test_a_crowd(make, bound):
    context, items = scenes.made(make, "fork", "Queue", bound)
    writers = [context.Process(target=scenes.put_numbers, args=(items, writer, 300, writer * 1000)) for writer in range(3)]
    for writer in writers:
        writer.start()
    got, lock = [], threading.Lock()

    def get():
        for _ in range(300):
            item = items.get(timeout=scenes.LIMIT)
            with lock:
                got.append(item[:2])

    readers = [threading.Thread(target=get) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(scenes.LIMIT)
    scenes.joined(*writers)
    assert sorted(got) == [(writer, n) for writer in range(3) for n in range(300)]
    assert items.empty() and items.qsize() == 0


def test_the_reading_end(make):
    context, items = scenes.made(make)
    reader = items._reader
    wait = multiprocessing.connection.wait
    assert wait([reader], timeout=0) == [] and not reader.poll() and not reader.poll(0.01)
    child = context.Process(target=scenes.put_all, args=(items, ["a", "b"]))
    child.start()
    assert wait([reader], timeout=scenes.LIMIT) == [reader]
    assert items._reader in [reader] and reader.poll(scenes.LIMIT) and isinstance(reader.fileno(), int)
    assert [items.get(timeout=scenes.LIMIT), items.get(timeout=scenes.LIMIT)] == ["a", "b"]
    scenes.joined(child)
    with pytest.raises(queue.Empty):
        items.get_nowait()
    assert wait([reader], timeout=0) == []


def test_the_locks_of_the_ends(make):
    _, items = scenes.made(make, "fork", "SimpleQueue")
    items.put(1)
    with items._rlock:
        assert not items._rlock.acquire(False) and not items._rlock.acquire(True, 0.01)
        assert items._reader.recv() == 1
    with items._wlock:
        items._writer.send(2)
    assert items.get() == 2
    with pytest.raises(ValueError, match=r"^semaphore or lock released too many times$"):
        items._rlock.release()
