"""Conditions and events of several processes: one body on the standard classes and on plait's."""

import pickle
import threading
import time
from multiprocessing import sharedctypes

import pytest
from process_lock_stage import LIMIT, Raised, child, ctx, every_method, forks_with_threads, never_hang, sync, until

from plait.multiprocessing import synchronize as plait_synchronize

__all__ = ["child", "ctx", "never_hang", "sync"]
pytestmark = forks_with_threads


@pytest.fixture
def condition(sync, ctx):
    return sync.Condition(ctx=ctx)


def waiting(condition):
    return condition._sleeping_count.get_value() - condition._woken_count.get_value()


def wait_in(condition, children):
    for count, each in enumerate(children, 1):
        each.do("condition", "acquire")
        each.start("condition", "wait")
        until(lambda count=count: waiting(condition) == count)
        # The notifier of a standard condition relies on those that sleep.
        each.wait_until_it_sleeps()


def test_so_many_are_woken_as_are_notified(condition, child):
    children = [child(condition=condition) for _ in range(4)]
    wait_in(condition, children)
    for notified, total in ((1, 1), (2, 3), (5, 4)):
        with condition:
            condition.notify(notified)
        # One after the other gets the lock, and gives it back.
        until(lambda total=total: release_all(children) == total)
    assert waiting(condition) == 0


def release_all(children):
    """Those that have come back let the lock go. How many that were, all in all."""
    for each in children:
        if not getattr(each, "came_back", False) and each.has_answered():
            assert each.value() is True
            each.do("condition", "release")
            each.came_back = True
    return sum(getattr(each, "came_back", False) for each in children)


def test_its_lock_is_needed(condition):
    with pytest.raises(AssertionError, match=r"^must acquire\(\) condition before using wait\(\)$"):
        condition.wait()
    with pytest.raises(AssertionError, match="^lock is not owned$"):
        condition.notify()
    with pytest.raises(AssertionError, match="^lock is not owned$"):
        condition.notify_all()


def test_when_the_time_is_up(condition):
    with condition, condition:
        start = time.monotonic()
        assert condition.wait(0.05) is False
        assert time.monotonic() - start >= 0.05
        assert condition._lock._semlock._count() == 2
        assert condition.wait(0) is False
        assert condition.wait(-1) is False
        assert condition.wait_for(lambda: False, 0.05) is False
        assert condition.wait_for(lambda: 7) == 7
        # A notification wakes no one who has gone.
        condition.notify()
        assert condition.wait(0.01) is False
    assert waiting(condition) == 0


@every_method
def test_another_process_changes_what_is_waited_for(condition, ctx):
    value = sharedctypes.RawValue("i", 0)
    process = ctx.Process(target=step_by_step, args=(condition, value))
    process.start()
    with condition:
        for number in range(5):
            assert condition.wait_for(lambda number=number: value.value == 2 * number + 1, LIMIT)
            value.value += 1
            condition.notify()
    process.join(LIMIT)
    assert (process.exitcode, value.value) == (0, 10)


def step_by_step(condition, value):
    with condition:
        for number in range(5):
            assert condition.wait_for(lambda number=number: value.value == 2 * number, LIMIT)
            value.value += 1
            condition.notify()


def test_how_a_condition_is_shown(sync, ctx, condition):
    assert repr(condition) == "<Condition(<RLock(None, 0)>, 0)>"
    assert repr(sync.Condition(sync.Lock(ctx=ctx), ctx=ctx)) == "<Condition(<Lock(owner=None)>, 0)>"
    with pytest.raises(RuntimeError, match="^Condition objects should only be shared between processes through inheritance$"):
        pickle.dumps(condition)


def test_producers_and_consumers(condition, ctx):
    """Each item is taken once, by notifications of one."""
    items, taken = sharedctypes.RawValue("i", 0), sharedctypes.RawValue("i", 0)
    total = 400
    consumers = [ctx.Process(target=consume, args=(condition, items, taken, total), daemon=True) for _ in range(2)]
    consumers += [threading.Thread(target=consume, args=(condition, items, taken, total), daemon=True) for _ in range(2)]
    for each in consumers:
        each.start()
    for _ in range(total):
        with condition:
            items.value += 1
            condition.notify()
    for each in consumers:
        each.join(LIMIT)
        assert not each.is_alive()
    assert (items.value, taken.value) == (0, total)


def consume(condition, items, taken, total):
    while True:
        with condition:
            condition.wait_for(lambda: items.value or taken.value == total)
            if not items.value:
                return
            items.value -= 1
            taken.value += 1
            if taken.value == total:
                condition.notify_all()


def test_plaits_notifier_does_not_wait_for_those_whom_it_wakes(ctx, child):
    condition = plait_synchronize.Condition(ctx=ctx)
    other = child(condition=condition)
    wait_in(condition, [other])
    with condition:
        condition.notify()
        # It cannot have the lock, and so cannot have come back.
        assert not other.has_answered()
    assert other.value() is True
    other.do("condition", "release")
    # The notification was for one that waited, and is no more.
    with condition:
        assert condition.wait(0.01) is False


def test_plaits_waiter_that_was_notified_before_it_slept_is_not_behind_a_later_one(ctx):
    condition = plait_synchronize.Condition(ctx=ctx)
    with condition:
        group = condition._enter()
    # As in `wait`, which has let the lock go, and has not come to sleep.
    with condition:
        condition.notify_all()
    later = threading.Thread(target=wait_once, args=(condition,))
    later.start()
    until(lambda: waiting(condition) == 1)
    for _ in range(3):
        until(lambda: state_of(later) == "S")
    assert condition._sleep(group, LIMIT / 2) is True
    with condition:
        assert waiting(condition) == 1
        condition.notify()
    later.join(LIMIT)
    assert not later.is_alive()


def wait_once(condition):
    with condition:
        assert condition.wait(LIMIT)


def state_of(thread):
    with open(f"/proc/self/task/{thread.native_id}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


# ---- events


@pytest.fixture
def event(sync, ctx):
    return sync.Event(ctx=ctx)


def test_the_flag_of_an_event(event, child):
    other = child(event=event)
    assert (event.is_set(), event.wait(0), event.wait(0.01), event.wait(-1)) == (False,) * 4
    assert repr(event) == f"<Event at {id(event):#x} unset>"
    assert other.do("event", "set") is None
    assert (event.is_set(), event.wait(), event.wait(0)) == (True,) * 3
    assert repr(event) == f"<Event at {id(event):#x} set>"
    assert event.set() is None and event.clear() is None
    assert other.do("event", "is_set") is False
    assert other.do("event", "wait", 0.01) is False


@every_method
def test_all_who_wait_for_an_event_are_woken(event, child):
    children = [child(event=event) for _ in range(2)]
    for each in children:
        each.start("event", "wait")
        each.wait_until_it_sleeps()
    woken = []
    threads = [threading.Thread(target=lambda: woken.append(event.wait(LIMIT))) for _ in range(3)]
    for each in threads:
        each.start()
    event.set()
    assert [each.value() for each in children] == [True, True]
    for each in threads:
        each.join(LIMIT)
    assert woken == [True] * 3


def test_plaits_waiters_are_woken_though_the_flag_is_taken_back(ctx, child):
    event = plait_synchronize.Event(ctx=ctx)
    other = child(event=event)
    for _ in range(20):
        other.start("event", "wait", LIMIT)
        other.wait_until_it_sleeps()
        event.set()
        event.clear()
        assert other.value() is True


def test_what_an_event_refuses(event):
    with pytest.raises(TypeError):
        event.wait("1")
    with pytest.raises(RuntimeError, match="objects should only be shared between processes through inheritance$"):
        pickle.dumps(event)


def test_errors_of_children_are_theirs(event, child):
    with pytest.raises(Raised, match="TypeError"):
        child(event=event).do("event", "wait", "1")
