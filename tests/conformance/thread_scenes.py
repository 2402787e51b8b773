"""Scenes that need a process of their own: Ctrl-C and handlers in the main thread, fork, the interpreter's exit.

    python thread_scenes.py SIDE SCENE [KIND OF WAIT...]

A scene that goes well writes nothing and ends with status 0. Signals are only sent when the main thread has been seen
to sleep in its call, so nothing here depends on who is faster.
"""

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from thread_sides import LIMIT, NAP, SIDES, Side, Sleeper, Strand, settle, until
from thread_waits import WAITS, Wait

MAIN = threading.get_ident()


def at_rest() -> None:
    """Returns when the main thread waits."""
    settle([Sleeper(os.getpid())])


def interrupt() -> None:
    at_rest()
    signal.pthread_kill(MAIN, signal.SIGINT)


def timeouts(wait: Wait) -> list[float | None]:
    return [None, 3600] if wait.takes_timeout else [None]


def expect_interrupt(call: Callable[..., Any], *args: Any) -> None:
    helper = Strand(interrupt)
    try:
        call(*args)
    except KeyboardInterrupt:
        helper.result()
    else:
        raise AssertionError("it went on")


# --- the main thread waits


def interrupted(side: Side, kind: str) -> None:
    for timeout in timeouts(WAITS[kind](side)):
        wait = WAITS[kind](side)
        expect_interrupt(wait.wait, timeout)
        wait.check_unharmed()


def interrupted_amid_others(side: Side, kind: str) -> None:
    """Others wait before and behind it. It leaves, another comes, and all are woken, one by one."""
    wait = WAITS[kind](side, crowd=4)
    others = [Strand(wait.wait).blocked() for _ in range(2)]
    behind: list[Strand] = []

    def come_and_interrupt() -> None:
        at_rest()
        behind.append(Strand(wait.wait).blocked())
        interrupt()

    helper = Strand(come_and_interrupt)
    try:
        wait.wait()
    except KeyboardInterrupt:
        helper.result()
    else:
        raise AssertionError("it went on")
    others += [*behind, Strand(wait.wait).blocked()]
    wait.wake_all()
    assert [other.result() for other in others] == [True] * 4


def handled(side: Side, kind: str) -> None:
    """A handler that does not raise lets the wait go on, as often as it comes."""
    seen: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    for timeout in timeouts(WAITS[kind](side)):
        wait = WAITS[kind](side)
        seen.clear()

        def pester_and_wake(wait: Wait = wait) -> None:
            for count in range(1, 4):
                at_rest()
                signal.pthread_kill(MAIN, signal.SIGUSR1)
                until(lambda count=count: len(seen) == count)  # at once, not when the wait is over
            at_rest()
            wait.wake()

        helper = Strand(pester_and_wake)
        assert wait.wait(timeout) is True
        helper.result()
        assert len(seen) == 3


def pestered(side: Side, kind: str) -> None:
    """Signals do not begin the time-out anew: they come as long as it waits, and faster than its time-out."""
    signal.signal(signal.SIGUSR1, lambda *_: None)
    wait = WAITS[kind](side)
    waiting = True

    def pester() -> None:
        while waiting:
            signal.pthread_kill(MAIN, signal.SIGUSR1)
            time.sleep(NAP)

    helper = Strand(pester)
    woken = wait.wait(0.03)
    waiting = False
    helper.result()
    assert woken is False


def woken_by_a_handler(side: Side, kind: str) -> None:
    """The handler of a signal may wake the very thread that it runs in."""
    wait = WAITS[kind](side)
    signal.signal(signal.SIGINT, lambda *_: wait.wake())
    helper = Strand(interrupt)
    assert wait.wait() is True
    helper.result()


def woken_and_interrupted(side: Side, kind: str) -> None:
    """It is woken and leaves nevertheless: what it was woken with must be there for the next."""
    wait = WAITS[kind](side)

    def wake_and_raise(*_: object) -> None:
        wait.wake()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, wake_and_raise)
    expect_interrupt(wait.wait)
    wait.check_kept()


def woken_and_interrupted_before_another(side: Side, kind: str) -> None:
    """The same while another waits behind it, who is to have it. (The standard library forgets to wake that one.)"""
    wait = WAITS[kind](side)
    behind: list[Strand] = []

    def come_and_interrupt() -> None:
        at_rest()
        behind.append(Strand(wait.wait).blocked())
        interrupt()

    def wake_and_raise(*_: object) -> None:
        wait.wake()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, wake_and_raise)
    helper = Strand(come_and_interrupt)
    try:
        wait.wait()
    except KeyboardInterrupt:
        helper.result()
    assert behind[0].result() is True


def interrupted_on_the_way_back(side: Side) -> None:
    """Notified, but the lock is not free yet: whatever comes, the wait ends with the lock held."""
    condition = side.threading.Condition()
    notified = threading.Event()

    def notify_and_interrupt() -> None:
        at_rest()
        with condition:
            condition.notify()
            interrupt()
            notified.set()

    helper = Strand(notify_and_interrupt)
    with condition:
        try:
            condition.wait()
        except KeyboardInterrupt:
            assert notified.is_set() and condition._is_owned()
        else:
            raise AssertionError("it went on")
    helper.result()
    assert not condition._is_owned() and Strand(condition.acquire, False).result()


def itimer(side: Side) -> None:
    """A real timer's signal ends a wait by an exception of the program's own."""

    class Over(Exception):
        pass

    def over(*_: object) -> None:
        raise Over

    def ring() -> None:
        at_rest()
        signal.setitimer(signal.ITIMER_REAL, 0.0001)

    signal.signal(signal.SIGALRM, over)
    for kind in WAITS:
        wait = WAITS[kind](side)
        helper = Strand(ring)
        try:
            wait.wait()
        except Over:
            helper.result()
            wait.check_unharmed()
        else:
            raise AssertionError(kind)


def control_c(side: Side, kind: str) -> None:
    """Ends by the signal; the test sends it."""
    threading.Thread(target=lambda: (at_rest(), print("ready", flush=True)), daemon=True).start()
    WAITS[kind](side).wait()


# --- fork


def in_child(body: Callable[[], Any]) -> None:
    """Run the body in a forked child, which has to end well."""
    child = os.fork()
    if not child:
        # The watchdog of the parent is a thread and does not exist here, an alarm does. It kills, after the stacks.
        faulthandler.register(signal.SIGALRM, chain=True)
        signal.alarm(LIMIT // 2)
        status = 1
        try:
            body()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def forked(side: Side, kind: str) -> None:
    """While threads wait. The child has what it needs, and the parent does not notice."""
    wait = WAITS[kind](side, crowd=2)
    strands = [Strand(wait.wait).blocked() for _ in range(2)]
    in_child(wait.check_after_fork)
    in_child(lambda: in_child(wait.check_after_fork))
    assert not any(strand.over for strand in strands)
    wait.wake_all()
    assert [strand.result() for strand in strands] == [True, True]


def forked_while_held(side: Side) -> None:
    """The lock of a condition is held by a thread that does not exist in the child."""
    for lock in (None, threading.Lock(), threading.RLock()):
        condition = side.threading.Condition(lock)
        go_on = threading.Event()

        def hold(condition: Any = condition, go_on: threading.Event = go_on) -> None:
            with condition:
                go_on.wait()

        holder = Strand(hold).blocked()

        def child(condition: Any = condition) -> None:
            assert condition.acquire(blocking=False) is False, "a held lock stays held"
            condition._at_fork_reinit()
            with condition:
                assert condition.wait(0) is False

        in_child(child)
        assert condition.acquire(blocking=False) is False
        go_on.set()
        holder.result()


def forked_by_a_thread(side: Side) -> None:
    """The thread that forks is the child's main thread; an RLock that it held it holds still."""

    def fork() -> None:
        condition = side.threading.Condition()
        condition.acquire()

        def answer() -> bool:
            with condition:
                condition.notify()
                return condition.wait()

        def child() -> None:
            assert condition._is_owned()
            assert condition.wait(0) is False
            partner = Strand(answer).blocked()
            assert condition.wait(LIMIT) is True
            condition.notify()
            condition.release()
            assert partner.result() is True

        in_child(child)

    Strand(fork).result()


def children_at_work(side: Side) -> None:
    """logging, threads, timers, executors and queues in children, with plait in the standard modules' place."""
    import logging
    import logging.handlers
    from concurrent.futures import ThreadPoolExecutor

    if side.name == "plait":
        import plait

        plait.install()

    waiting = Strand(side.threading.Event().wait)

    def work() -> None:
        records = side.queue.Queue(2)
        written: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: written.append(record.getMessage())  # type: ignore[method-assign]
        listener = logging.handlers.QueueListener(records, handler)
        logger = logging.Logger("work")
        logger.addHandler(logging.handlers.QueueHandler(side.queue.Queue()))
        logger.addHandler(listener_end := logging.Handler())
        listener_end.emit = lambda record: records.put(record)  # type: ignore[method-assign]
        listener.start()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda number: logger.warning("%d", number), range(20)))
        until(records.empty)  # stopping puts a last one, and does not wait for room
        listener.stop()
        assert sorted(written, key=int) == [str(number) for number in range(20)]
        rang = side.threading.Event()
        timer = side.threading.Timer(0, rang.set)
        timer.start()
        assert rang.wait(LIMIT)
        timer.join()

    waiting.blocked()
    work()
    in_child(work)
    in_child(lambda: in_child(work))


# --- the end of the interpreter


def exits(side: Side) -> None:
    """Daemon threads wait, for ever or with time-outs that end while the interpreter does."""

    def again_and_again(kind: type[Wait]) -> None:
        while True:
            kind(side).wait(0.0005)

    for kind in WAITS.values():
        Strand(kind(side).wait).blocked()
        if kind.takes_timeout:
            Strand(again_and_again, kind)


def exits_in_order(side: Side) -> None:
    """A thread that is no daemon is waited for, and woken by what runs before."""
    items = side.queue.Queue()
    stopped = side.threading.Event()
    got: list[Any] = []

    def consume() -> None:
        while (item := items.get()) is not None:
            got.append(item)
            items.task_done()
        stopped.set()

    def check() -> None:
        if not (stopped.is_set() and got == [0, 1, 2]):
            print("not in order:", got)

    import atexit

    atexit.register(check)
    threading._register_atexit(items.put, None)  # type: ignore[attr-defined]
    threading.Thread(target=consume).start()
    for number in range(3):
        items.put(number)
    items.join()


if __name__ == "__main__":
    side, scene, kinds = SIDES[sys.argv[1]], globals()[sys.argv[2]], sys.argv[3:]
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    for kind in kinds:
        scene(side, kind)
    if not kinds:
        scene(side)
