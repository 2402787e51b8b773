"""Locks and semaphores of several processes: one body on the standard classes and on plait's."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from multiprocessing import sharedctypes, synchronize

import pytest
from process_lock_stage import LIMIT, Child, Raised, child, count_up, ctx, every_method, forks_with_threads, never_hang, sync, until

from plait.multiprocessing import synchronize as plait_synchronize

__all__ = ["child", "ctx", "never_hang", "sync"]
pytestmark = forks_with_threads
KINDS = ["Lock", "RLock", "Semaphore", "BoundedSemaphore"]


@pytest.fixture(params=KINDS)
def lock(request, sync, ctx):
    return getattr(sync, request.param)(ctx=ctx)


def test_what_its_methods_return(lock):
    assert lock.acquire() is True
    assert lock.release() is None
    assert lock.acquire(timeout=1) is True
    assert lock.release() is None
    with lock as entered:
        assert entered is True
    assert lock.acquire(False) is True
    assert isinstance(lock, getattr(synchronize, type(lock).__name__))


def test_who_does_not_wait_long(lock):
    lock.acquire()
    seen = []

    def attempts():
        seen.extend([lock.acquire(False), lock.acquire(block=False), lock.acquire(True, 0), lock.acquire(True, -1)])
        start = time.monotonic()
        seen.append(lock.acquire(True, 0.05))
        seen.append(time.monotonic() - start >= 0.05)

    thread = threading.Thread(target=attempts)
    thread.start()
    thread.join(LIMIT)
    assert seen == [False] * 5 + [True]


def test_what_is_refused(sync, ctx):
    for name in ("Lock", "BoundedSemaphore"):
        with pytest.raises(ValueError, match="^semaphore or lock released too many times$"):
            getattr(sync, name)(ctx=ctx).release()
    with pytest.raises(AssertionError, match="^attempt to release recursive lock not owned by thread$"):
        sync.RLock(ctx=ctx).release()
    with pytest.raises(TypeError, match="^must be real number, not str$"):
        sync.Lock(ctx=ctx).acquire(timeout="1")
    for value, error in ((-1, OSError), (2**31 - 1 + 1, OverflowError), ("1", TypeError)):
        with pytest.raises(error):
            sync.Semaphore(value, ctx=ctx)
    for name in KINDS:
        with pytest.raises(RuntimeError, match=f"^{name} objects should only be shared between processes through inheritance$"):
            pickle.dumps(getattr(sync, name)(ctx=ctx))


def test_how_they_are_shown(sync, ctx, child):
    lock, rlock, semaphore, bounded = (getattr(sync, name)(ctx=ctx) for name in KINDS)
    other = child(lock=lock, rlock=rlock)

    def shown():
        return [repr(lock), repr(rlock)]

    assert shown() == ["<Lock(owner=None)>", "<RLock(None, 0)>"]
    assert [repr(semaphore), repr(bounded)] == ["<Semaphore(value=1)>", "<BoundedSemaphore(value=1, maxvalue=1)>"]
    with lock, rlock, rlock, semaphore:
        assert shown() == ["<Lock(owner=MainProcess)>", "<RLock(MainProcess, 2)>"]
        assert repr(semaphore) == "<Semaphore(value=0)>" and semaphore.get_value() == 0
        seen = []
        thread = threading.Thread(target=lambda: seen.extend(shown()))
        thread.start()
        thread.join(LIMIT)
        assert seen == ["<Lock(owner=SomeOtherThread)>", "<RLock(SomeOtherThread, nonzero)>"]
    other.do("lock", "acquire")
    other.do("rlock", "acquire")
    assert shown() == ["<Lock(owner=SomeOtherProcess)>", "<RLock(SomeOtherProcess, nonzero)>"]


def test_what_is_below_the_standard_classes(lock):
    below = lock._semlock
    kind = synchronize.RECURSIVE_MUTEX if type(lock).__name__ == "RLock" else synchronize.SEMAPHORE
    assert (below.kind, below._get_value(), below._is_zero(), below._count(), below._is_mine()) == (kind, 1, False, 0, False)
    with lock:
        assert (below._count(), below._is_mine(), below._get_value()) == (1, True, 0)
    assert below.SEM_VALUE_MAX == synchronize.SEM_VALUE_MAX
    assert isinstance(below.handle, int)


def test_a_recursive_lock_is_its_holders(sync, ctx):
    lock = sync.RLock(ctx=ctx)
    errors = []

    def release():
        try:
            lock.release()
        except AssertionError as error:
            errors.append(str(error))
        errors.append(lock.acquire(False))

    with lock, lock:
        thread = threading.Thread(target=release)
        thread.start()
        thread.join(LIMIT)
    assert errors == ["attempt to release recursive lock not owned by thread", False]
    assert lock._semlock._get_value() == 1


@every_method
def test_another_process_waits_and_gets_it(lock, child):
    other = child(lock=lock)
    lock.acquire()
    assert other.do("lock", "acquire", False) is False
    assert other.do("lock", "acquire", True, 0.01) is False
    other.start("lock", "acquire")
    other.wait_until_it_sleeps()
    lock.release()
    assert other.value() is True
    assert lock.acquire(False) is False
    assert other.do("lock", "release") is None
    assert lock.acquire(True, LIMIT) is True


def test_a_lock_is_released_by_anybody(sync, ctx, child):
    lock = sync.Lock(ctx=ctx)
    other = child(lock=lock)
    lock.acquire()
    other.do("lock", "release")
    with pytest.raises(Raised, match="released too many times"):
        other.do("lock", "release")
    assert lock.acquire(False)


@every_method
@pytest.mark.parametrize("name", KINDS)
def test_one_holder_at_a_time(sync, ctx, name):
    lock = getattr(sync, name)(ctx=ctx)
    counter = sharedctypes.RawValue("i", 0)
    rounds = 1000
    children = [ctx.Process(target=count_up, args=(lock, counter, rounds), daemon=True) for _ in range(2)]
    threads = [threading.Thread(target=count_up, args=(lock, counter, rounds), daemon=True) for _ in range(2)]
    for each in children + threads:
        each.start()
    for each in children + threads:
        each.join(LIMIT)
    assert counter.value == 4 * rounds


def test_a_forked_child_holds_nothing(sync, child):
    ctx = multiprocessing.get_context("fork")
    lock, rlock = sync.Lock(ctx=ctx), sync.RLock(ctx=ctx)
    with lock, rlock:
        other = child(lock=lock, rlock=rlock)
        assert other.do("rlock", "acquire", False) is False
        assert other.do("lock", "acquire", False) is False
        with pytest.raises(Raised, match="not owned by thread"):
            other.do("rlock", "release")
        assert "SomeOtherProcess" in other.do("rlock", "__repr__")
    assert other.do("rlock", "acquire", True, LIMIT) is True
    assert "ForkProcess" in other.do("rlock", "__repr__")


def test_a_lock_of_a_fork_context_is_not_for_spawned_processes(sync):
    lock = sync.Lock(ctx=multiprocessing.get_context("fork"))
    with pytest.raises(RuntimeError, match="^A SemLock created in a fork context is being shared with a process in a spawn context."):
        Child(multiprocessing.get_context("spawn"), lock=lock)


@every_method
def test_a_child_hands_it_on_to_its_own(sync, ctx):
    """Through two generations; there is one lock."""
    lock, done = sync.Lock(ctx=ctx), sync.Semaphore(0, ctx=ctx)
    lock.acquire()
    process = ctx.Process(target=have_a_child_wait, args=(ctx.get_start_method(), lock, done))
    process.start()
    assert done.acquire(True, LIMIT)
    assert not done.acquire(True, 0.05)
    lock.release()
    assert done.acquire(True, LIMIT)
    process.join(LIMIT)
    assert process.exitcode == 0


def have_a_child_wait(method, lock, done):
    process = multiprocessing.get_context(method).Process(target=wait_and_tell, args=(lock, done))
    process.start()
    process.join(LIMIT)


def wait_and_tell(lock, done):
    done.release()
    with lock:
        done.release()


PROGRAM_THAT_WAITS = """
    import multiprocessing, os, signal, sys, time
    from {module} import Lock
    lock = Lock(ctx=multiprocessing.get_context("fork"))
    lock.acquire()
    {handler}
    print("waits", flush=True)
    try:
        print(lock.acquire(True, {timeout}), flush=True)
    except KeyboardInterrupt:
        print("interrupted", lock.acquire(False), flush=True)
        lock.release()
        print(lock.acquire(False), flush=True)
"""


def start_waiting(sync, handler, timeout):
    program = textwrap.dedent(PROGRAM_THAT_WAITS).format(module=sync.__name__, handler=handler, timeout=timeout)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "waits\n"
    until(lambda: open(f"/proc/{process.pid}/stat").read().rpartition(")")[2].split()[0] == "S")
    return process


def test_ctrl_c_reaches_who_waits(sync):
    process = start_waiting(sync, "", None)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=LIMIT)
    assert output.split() == ["interrupted", "False", "True"]


def test_after_a_signal_it_waits_for_the_rest_of_the_time(sync):
    process = start_waiting(sync, "signal.signal(signal.SIGUSR1, lambda *_: print('signal', flush=True))", 0.5)
    process.send_signal(signal.SIGUSR1)
    output, _ = process.communicate(timeout=LIMIT)
    assert output.split() == ["signal", "False"]


# ---- what the standard classes do not promise


@pytest.fixture
def fork_ctx():
    return multiprocessing.get_context("fork")


def test_waiters_of_a_process_are_served_in_the_order_of_their_coming(fork_ctx, child):
    lock = plait_synchronize.Lock(ctx=fork_ctx)
    other = child(lock=lock)
    other.do("lock", "acquire")
    served, threads = [], []

    def wait(number):
        with lock:
            served.append(number)

    for number in range(5):
        thread = threading.Thread(target=wait, args=(number,))
        thread.start()
        threads.append(thread)
        # Native, like a thread's state: there is nobody to tell that it sleeps.
        until(lambda: open(f"/proc/self/task/{thread.native_id}/stat").read().rpartition(")")[2].split()[0] == "S")
        time.sleep(0.01)
    other.do("lock", "release")
    for thread in threads:
        thread.join(LIMIT)
    assert served == list(range(5))


def test_many_locks_take_few_descriptors_and_their_places_are_used_again(fork_ctx):
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    locks = [plait_synchronize.Lock(ctx=fork_ctx) for _ in range(100_000)]
    assert descriptors() <= before + 2
    with locks[0], locks[-1]:
        pass
    del locks
    assert descriptors() <= before + 2
    places = {plait_synchronize.Lock(ctx=fork_ctx).handle for _ in range(1000)}
    assert len(places) == 1


def test_a_place_that_a_child_may_know_is_not_used_again(fork_ctx, child):
    lock = plait_synchronize.Lock(ctx=fork_ctx)
    place = lock.handle
    other = child(lock=lock)
    del lock
    others = [plait_synchronize.Lock(ctx=fork_ctx) for _ in range(100)]
    assert place not in {each.handle for each in others}
    assert other.do("lock", "acquire", False) is True


def test_two_processes_make_locks_of_their_own(fork_ctx, child):
    mine = plait_synchronize.Lock(ctx=fork_ctx)
    other = child(make=plait_synchronize.Lock)
    with mine:
        assert other.do("take_a_new_one", None) is True
        new = plait_synchronize.Lock(ctx=fork_ctx)
        assert new.acquire(False)


NO_SYSTEM_CALLS = """
    import ctypes, multiprocessing, os
    from plait.multiprocessing import synchronize
    ctx = multiprocessing.get_context("fork")
    locks = [getattr(synchronize, name)(ctx=ctx) for name in ("Lock", "RLock", "Semaphore", "BoundedSemaphore")]
    event = synchronize.Event(ctx=ctx)

    def use():
        for lock in locks:
            for _ in range(1000):
                lock.acquire()
                lock.release()
        for _ in range(1000):
            event.set()
            event.wait()
            event.clear()

    use()
    SECCOMP, STRICT = 22, 1
    ctypes.CDLL(None).prctl(SECCOMP, STRICT)
    use()
    os.write(1, b"no calls but this one")
"""


def test_without_contention_the_kernel_is_not_asked():
    """From there on the kernel kills it for any other call than read and write: also for those that end it."""
    output = subprocess.run([sys.executable, "-c", textwrap.dedent(NO_SYSTEM_CALLS)], stdout=subprocess.PIPE, timeout=LIMIT, check=False)
    assert output.stdout == b"no calls but this one"
    assert output.returncode < 0
