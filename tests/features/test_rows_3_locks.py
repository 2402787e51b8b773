"""Section 3 of the feature list: locks and signals of ``threading``, the universal ones of ``plait`` among them.

``threading.Lock``, ``RLock`` and ``local`` are the interpreter's own under plait; the native locks are ``plait.Lock`` and ``plait.RLock``, in the
rows' third way ("universal").

Not here: 3.21 (what locks cost is measured by ``plait bench``), and of 3.19 the report of a deadlock, which is to come. 3.7 says when
``threading.RLock`` has ``locked``; ``plait.RLock`` has it on every Python.
"""

import sys
import threading as standard
import time
from concurrent.futures import ThreadPoolExecutor

import plait
import programs
import pytest
from plait import _native
from thread_sides import Strand, settle, until

WITH_STATEMENT = ["Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore"]
PRIMITIVES = ["Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier"]


def results(strands):
    return [strand.result() for strand in strands]


def test_3_the_implementation_that_runs(locks):
    prefix = "" if locks is plait else "Threading"
    for name in PRIMITIVES:
        assert getattr(locks, name) is getattr(_native, prefix + name)
        assert getattr(locks, name).__module__ == ("plait" if locks is plait else "plait.threading")
    assert type(locks.Semaphore()) is locks.Semaphore and type(locks.Condition()) is locks.Condition
    own = {"Lock": type(locks.Lock()), "RLock": type(locks.RLock())}
    theirs = {"Lock": type(standard._allocate_lock()), "RLock": standard._CRLock}
    assert own == ({"Lock": _native.Lock, "RLock": _native.RLock} if locks is plait else theirs)


def test_3_1_check_and_decrement(locks, switching_often):
    """Two threads, one thing left: 300 times exactly one of them gets it."""
    lock = locks.Lock()
    left, got, met = 0, [], standard.Barrier(2)

    def worker():
        nonlocal left
        for _ in range(300):
            if met.wait() == 0:
                left = 1
            met.wait()
            with lock:
                if left > 0:
                    time.sleep(0)
                    left -= 1
                    got.append(left)

    results([Strand(worker), Strand(worker)])
    assert got == [0] * 300 and left == 0


def test_3_2_acquire_release_locked(locks):
    lock = locks.Lock()
    assert lock.locked() is False
    assert lock.acquire() is True and lock.locked() is True
    assert lock.acquire(False) is False
    assert lock.acquire(blocking=False) is False
    began = time.monotonic()
    assert lock.acquire(timeout=0.02) is False
    assert time.monotonic() - began >= 0.02
    with pytest.raises(ValueError, match="^can't specify a timeout for a non-blocking call$"):
        lock.acquire(False, 1)
    with pytest.raises(ValueError, match="^timeout value must be a non-negative number$"):
        lock.acquire(timeout=-2)
    lock.release()
    assert lock.locked() is False
    assert lock.acquire(timeout=10) is True


def test_3_3_a_lock_is_not_reentrant(locks):
    lock = locks.Lock()
    with lock:
        assert lock.acquire(timeout=0.01) is False
        waiting = Strand(lock.acquire).blocked()
    assert waiting.result() is True


def test_3_4_who_may_release_a_lock(locks):
    lock = locks.Lock()
    lock.acquire()
    waiting = Strand(lock.acquire).blocked()
    Strand(lock.release).result()
    assert waiting.result() is True
    lock.release()
    with pytest.raises(RuntimeError, match="^release unlocked lock$"):
        lock.release()


def test_3_5_a_lock_makes_workers_serial(locks):
    lock, inside, spans = locks.Lock(), [], []

    def worker():
        with lock:
            inside.append(standard.get_ident())
            began = time.monotonic()
            time.sleep(0.005)
            spans.append((began, time.monotonic()))
            assert inside == [standard.get_ident()]
            inside.clear()

    began = time.monotonic()
    results([Strand(worker) for _ in range(5)])
    assert time.monotonic() - began >= 5 * 0.005
    assert all(end <= begin for (_, end), (begin, _) in zip(spans, spans[1:], strict=False))


def test_3_6_rlock(locks):
    lock = locks.RLock()
    for _ in range(3):
        assert lock.acquire() is True
    waiting = Strand(lock.acquire).blocked()
    with pytest.raises(RuntimeError, match="^cannot release un-acquired lock$"):
        Strand(lock.release).result()
    for _ in range(2):
        lock.release()
        assert Strand(lock.acquire, blocking=False).result() is False
        settle([waiting])
        assert not waiting.over
    lock.release()
    assert waiting.result() is True
    with pytest.raises(RuntimeError, match="^cannot release un-acquired lock$"):
        lock.release()


def test_3_7_locked_of_an_rlock_as_the_host_python(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import threading
        lock = threading.RLock()
        try:
            print(lock.locked(), lock.acquire(), lock.locked())
        except AttributeError as error:
            print(error)
        """,
    )
    since = "False True True\n" if sys.version_info >= (3, 14) else "'_thread.RLock' object has no attribute 'locked'\n"
    assert end == (0, since, "")


@pytest.mark.parametrize("kind", WITH_STATEMENT)
def test_3_8_with(locks, kind):
    """Released at the end of the block, also by an exception."""
    lock = getattr(locks, kind)()
    with lock:
        assert Strand(lock.acquire, blocking=False).result() is False
    assert Strand(lambda: lock.acquire(blocking=False) and lock.release()).result() is None
    with pytest.raises(LookupError), lock:
        raise LookupError
    assert Strand(lock.acquire, blocking=False).result() is True


@pytest.mark.parametrize("over", ["Lock", "RLock", None])
def test_3_9_condition(locks, over):
    condition = locks.Condition(getattr(locks, over)()) if over else locks.Condition()
    woken = []

    def waiter(i):
        with condition:
            assert condition.wait(10) is True
            woken.append(i)

    for call in (condition.wait, condition.notify, condition.notify_all):
        with pytest.raises(RuntimeError, match="^cannot (wait|notify) on un-acquired lock$"):
            call()
    waiting = [Strand(waiter, i).blocked() for i in range(4)]
    with condition:
        condition.notify(2)
    until(lambda: len(woken) == 2)
    settle(waiting)
    assert sorted(woken) == [0, 1], "the two who had waited longest"
    with condition:
        assert condition.wait(timeout=0.001) is False
    with condition:
        condition.notify_all()
    results(waiting)
    assert sorted(woken) == [0, 1, 2, 3]


def test_3_10_notify_wakes_at_most_n(locks):
    condition, woken = locks.Condition(), []

    def waiter():
        with condition:
            condition.wait()
            woken.append(1)

    waiting = [Strand(waiter).blocked() for _ in range(4)]
    for count in (1, 3, 4):
        with condition:
            condition.notify(count - len(woken))
        settle(waiting)
        assert len(woken) == count
    results(waiting)
    with condition:
        condition.notify(5)


def test_3_11_waiting_uses_no_processor(locks):
    """All kinds of wait at once, with and without a time-out."""
    condition, barrier, held = locks.Condition(), locks.Barrier(2), locks.Lock()
    event, semaphore = locks.Event(), locks.Semaphore(0)
    held.acquire()

    def waits_for_a_notification(timeout):
        with condition:
            return condition.wait(timeout)

    waits = [
        (waits_for_a_notification, None),
        (waits_for_a_notification, 30),
        (event.wait,),
        (event.wait, 30),
        (barrier.wait,),
        (held.acquire,),
        (semaphore.acquire,),
        (semaphore.acquire, True, 30),
    ]
    waiting = [Strand(*wait).blocked() for wait in waits]
    wall, processor = time.monotonic(), time.process_time()
    assert locks.Event().wait(0.25) is False
    wall, processor = time.monotonic() - wall, time.process_time() - processor
    with condition:
        condition.notify_all()
    event.set()
    barrier.wait()
    held.release()
    semaphore.release(2)
    results(waiting)
    assert wall >= 0.25 and processor < 0.05 * wall


def test_3_12_producer_and_consumer(locks):
    """A shelf for three: one waits while it is full, the other while it is empty, and both have to."""
    condition, shelf, most, got = locks.Condition(), [], 0, []
    waits = {"producer": 0, "consumer": 0}

    def wait_while(who, holds):
        while holds():
            waits[who] += 1
            condition.wait()

    def producer():
        nonlocal most
        for i in range(200):
            with condition:
                wait_while("producer", lambda: len(shelf) == 3)
                shelf.append(i)
                most = max(most, len(shelf))
                condition.notify()

    def consumer(count):
        for _ in range(count):
            with condition:
                wait_while("consumer", lambda: not shelf)
                got.append(shelf.pop(0))
                condition.notify()

    early = Strand(consumer, 100).blocked()
    filling = Strand(producer)
    early.result()
    settle([filling])
    assert len(shelf) == 3 and not filling.over
    Strand(consumer, 100).result()
    filling.result()
    assert got == list(range(200)) and most == 3 and shelf == []
    assert waits["producer"] >= 1 and waits["consumer"] >= 1


def test_3_13_a_notification_before_the_wait_is_lost(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import threading
        condition, ready = threading.Condition(), False
        def notifies():
            global ready
            with condition:
                ready = True
                condition.notify()
        thread = threading.Thread(target=notifies)
        thread.start()
        thread.join()
        with condition:
            print(condition.wait(0.05))
            print(condition.wait_for(lambda: ready, 30), condition.wait_for(lambda: not ready, 0.01))
        """,
    )
    assert end == (0, "False\nTrue False\n", "")


def test_3_13_the_same_for_universal_conditions(locks):
    condition, ready = locks.Condition(), []
    with condition:
        condition.notify_all()
        ready.append("seen")
        assert condition.wait(0.01) is False
        assert condition.wait_for(lambda: ready) == ["seen"]


@pytest.mark.parametrize("kind", ["Semaphore", "BoundedSemaphore"])
def test_3_14_semaphore(locks, kind):
    semaphore = getattr(locks, kind)(3)
    inside = most = 0
    counting = standard.Lock()

    def worker():
        nonlocal inside, most
        for _ in range(20):
            with semaphore:
                with counting:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0)
                with counting:
                    inside -= 1

    results([Strand(worker) for _ in range(10)])
    assert inside == 0 and 1 <= most <= 3
    assert [semaphore.acquire(blocking=False) for _ in range(4)] == [True] * 3 + [False]
    began = time.monotonic()
    assert semaphore.acquire(timeout=0.02) is False
    assert time.monotonic() - began >= 0.02
    with pytest.raises(ValueError, match="^can't specify timeout for non-blocking acquire$"):
        semaphore.acquire(blocking=False, timeout=1)
    waiting = Strand(semaphore.acquire).blocked()
    semaphore.release()
    assert waiting.result() is True
    semaphore.release(2)
    assert [semaphore.acquire(blocking=False) for _ in range(3)] == [True, True, False]


def test_3_15_bounded_semaphore(locks):
    bounded, plain = locks.BoundedSemaphore(2), locks.Semaphore(2)
    with bounded:
        pass
    with pytest.raises(ValueError, match="^Semaphore released too many times$"):
        bounded.release()
    plain.release()
    assert [plain.acquire(blocking=False) for _ in range(4)] == [True, True, True, False]


def test_3_16_event(locks):
    event, order = locks.Event(), []
    assert event.is_set() is False
    assert event.wait(0.001) is False

    def waiter():
        order.append("waits")
        assert event.wait() is True
        order.append("goes on")

    waiting = [Strand(waiter).blocked() for _ in range(3)]
    assert order == ["waits"] * 3
    event.set()
    results(waiting)
    assert order == ["waits"] * 3 + ["goes on"] * 3
    assert event.is_set() is True and event.wait() is True
    with pytest.warns(DeprecationWarning):
        assert event.isSet() is True
    event.clear()
    assert event.is_set() is False
    assert Strand(event.wait, 0.001).result() is False


def test_3_16_three_threads_wait_until_true_is_typed(tmp_path):
    source = """
        import threading
        def waits(i):
            begun.release()
            print("waits", flush=True)
            event.wait()
            print("goes on", flush=True)
        event, begun = threading.Event(), threading.Semaphore(0)
        threads = [threading.Thread(target=waits, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        while input() != "true":
            print("not yet", flush=True)
        event.set()
    """
    for way in ("run", "mirror"):
        with programs.running(way, tmp_path, source) as process:
            assert [process.stdout.readline() for _ in range(3)] == [b"waits\n"] * 3
            process.stdin.write(b"false\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"not yet\n"
            programs.wait_until_all_its_threads_sleep(process)
            stdout, stderr = process.communicate(b"true\n", timeout=60)
        assert (process.returncode, stdout, stderr) == (0, b"goes on\n" * 3, b"")


def test_3_17_barrier(locks):
    barrier, order = locks.Barrier(5), []

    def party():
        order.append("in")
        number = barrier.wait()
        order.append("out")
        return number

    early = [Strand(party).blocked() for _ in range(4)]
    assert order == ["in"] * 4 and barrier.n_waiting == 4
    numbers = results([*early, Strand(party)])
    assert order == ["in"] * 5 + ["out"] * 5 and sorted(numbers) == [0, 1, 2, 3, 4]


def test_3_18_local(threading):
    local = threading.local()
    seen = {}

    def deep():
        return local.value

    def worker(value):
        local.value = value
        met.wait()
        seen[value] = deep()

    met = threading.Barrier(2)
    results([Strand(worker, 2), Strand(worker, 3)])
    assert seen == {2: 2, 3: 3} and not hasattr(local, "value")


DEADLOCK = """
    import threading
    {imports}
    def party(mine, other, name):
        with mine:
            all_hold_one.wait()
            print(name, "wants the other", flush=True)
            with other:
                print(name, "has both", flush=True)
    KINDS = [{kinds}]
    all_hold_one = threading.Barrier(2 * len(KINDS))
    threads = []
    for make in KINDS:
        a, b = make(), make()
        threads.append(threading.Thread(target=party, args=(a, b, "A")))
        threads.append(threading.Thread(target=party, args=(b, a, "B")))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("ends")
"""
STANDARD_KINDS = ["threading.Lock", "threading.RLock", "threading.Condition", "threading.Semaphore", "threading.BoundedSemaphore"]
UNIVERSAL_KINDS = ["plait.Lock", "plait.RLock", "plait.Condition", "plait.Semaphore", "plait.BoundedSemaphore"]


@pytest.mark.parametrize("way", programs.WAYS)
def test_3_19_a_deadlock_is_a_deadlock(tmp_path, way):
    """Each thread holds what another one wants: nothing moves any more, with plait as without."""
    with_plait = way != "host"
    kinds = STANDARD_KINDS + UNIVERSAL_KINDS * with_plait
    source = DEADLOCK.format(kinds=", ".join(kinds), imports="import plait" * with_plait)
    with programs.running(way, tmp_path, source) as process:
        said = [process.stdout.readline() for _ in range(2 * len(kinds))]
        assert sorted(said) == [b"A wants the other\n"] * len(kinds) + [b"B wants the other\n"] * len(kinds)
        programs.wait_until_all_its_threads_sleep(process)
        assert process.poll() is None
        process.kill()
        assert process.communicate() == (b"", b"")


@pytest.mark.parametrize("kind", WITH_STATEMENT)
def test_3_19_a_timeout_resolves_it(locks, kind):
    """One of the two gives up, lets go of what it holds, and tries again."""
    a, b = getattr(locks, kind)(), getattr(locks, kind)()
    both_hold_one, order = standard.Barrier(2), []

    def patient():
        with a:
            both_hold_one.wait()
            with b:
                order.append("patient has both")

    def gives_way():
        with b:
            both_hold_one.wait()
            while not a.acquire(timeout=0.01):
                order.append("gives way")
                b.release()
                finished.result()
                b.acquire()
            order.append("has both")
            a.release()

    finished = Strand(patient)
    Strand(gives_way).result()
    assert order == ["gives way", "patient has both", "has both"]


def test_3_19_avoided_by_one_order_for_all(locks, switching_often):
    a, b, times = locks.Lock(), locks.Lock(), []

    def worker():
        for _ in range(100):
            with a:
                time.sleep(0)
                with b:
                    times.append(1)

    results([Strand(worker), Strand(worker)])
    assert len(times) == 200


def test_3_20_locks_are_needed_although_there_is_a_gil(locks, switching_often):
    lock = locks.Lock()
    exact = raced = 0

    def worker():
        nonlocal exact, raced
        for _ in range(2000):
            with lock:
                exact += 1
            read = raced
            if read % 100 == 0:
                time.sleep(0)
            raced = read + 1

    results([Strand(worker) for _ in range(4)])
    assert exact == 8000 and 2 <= raced <= 8000


@pytest.mark.parametrize("by_hand", [True, False])
def test_3_22_rlock_in_pairs(locks, by_hand):
    lock, depth, lines = locks.RLock(), 0, []

    def step(change):
        nonlocal depth
        depth += change
        lines.append(depth)

    def nested(levels):
        if by_hand:
            lock.acquire()
            step(1)
            if levels > 1:
                nested(levels - 1)
            step(-1)
            lock.release()
        else:
            with lock:
                step(1)
                if levels > 1:
                    nested(levels - 1)
                step(-1)

    nested(4)
    assert lines == [1, 2, 3, 4, 3, 2, 1, 0]
    lines.clear()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(nested, [4] * 8))
    assert lines == [1, 2, 3, 4, 3, 2, 1, 0] * 8
