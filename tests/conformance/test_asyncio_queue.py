"""Queue, LifoQueue and PriorityQueue: what goes in comes out, once and in order, whoever is cancelled; join; shutdown.

A queue that nobody has looked into may keep its items elsewhere than in `_queue`. So there are scripts that never look,
scripts that look before anybody waits, and scripts that look at any time.
"""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primitive_stage import QUEUES, assert_same, facts, finish, told
from queue_player import ATTRIBUTES, HAS_SHUTDOWN, PEEK, RESIZE, SHUTDOWN, STEPS, QueuePlayer
from script_player import looking, scripted, scripts

needs_shutdown = pytest.mark.skipif(not HAS_SHUTDOWN, reason="queues have shutdown from 3.13 on")
kinds = st.sampled_from(QUEUES)
maxsizes = st.sampled_from([0, 0, 1, 1, 2, 3])


def play(stage, kind, maxsize, script, looks=False, first=None):
    player = QueuePlayer(stage, getattr(stage.asyncio, kind)(maxsize), looks)
    if first is not None:
        player.shown(first)
    player.play(script)


@scripted
@given(kind=kinds, maxsize=maxsizes, script=scripts(*STEPS, longest=30))
def test_scripts(kind, maxsize, script):
    assert_same(play, kind, maxsize, script)


@looking
@scripted
@given(kind=kinds, maxsize=maxsizes, first=st.sampled_from(ATTRIBUTES), script=scripts(*STEPS, longest=30))
def test_scripts_on_a_queue_that_was_looked_into(looks, kind, maxsize, first, script):
    assert_same(play, kind, maxsize, script, looks, first)


@scripted
@given(kind=kinds, maxsize=maxsizes, script=scripts(*STEPS, PEEK, longest=30))
def test_scripts_that_look_into_the_queue(kind, maxsize, script):
    assert_same(play, kind, maxsize, script)


@scripted
@given(kind=kinds, maxsize=maxsizes, script=scripts(*STEPS, RESIZE, longest=30))
def test_scripts_that_change_the_size(kind, maxsize, script):
    assert_same(play, kind, maxsize, script)


@needs_shutdown
@looking
@scripted
@given(kind=kinds, maxsize=maxsizes, script=scripts(*STEPS, SHUTDOWN))
def test_scripts_with_a_shutdown(looks, kind, maxsize, script):
    assert_same(play, kind, maxsize, script, looks, "_queue" if looks else None)


# --- order


@pytest.mark.parametrize("kind", QUEUES)
def test_the_order_of_the_items(kind):
    def body(stage):
        queue = getattr(stage.asyncio, kind)()
        for item in (3, 1, 2, 1, 5, 4):
            stage.attempt(queue.put_nowait, item)
            stage.note(facts(queue))
        while not queue.empty():
            stage.attempt(queue.get_nowait)
            stage.note(facts(queue))

    trace = assert_same(body)
    got = [one[2] for one in trace if one[:2] == ("returned", "int")]
    assert "".join(got) == {"Queue": "312154", "LifoQueue": "451213", "PriorityQueue": "112345"}[kind]


@pytest.mark.parametrize("kind", QUEUES)
def test_getters_are_served_in_the_order_of_arrival(kind):
    def body(stage):
        queue = getattr(stage.asyncio, kind)()

        async def getter(name):
            stage.note("got", name, await queue.get())

        tasks = stage.blocked(*map(getter, range(5)))
        for item in (3, 1, 2):
            queue.put_nowait(item)
            stage.note(facts(queue))
        stage.turn()
        stage.note("turn", facts(queue))
        queue.put_nowait(5)
        queue.put_nowait(4)
        stage.turn()
        stage.note_ends(tasks)

    trace = assert_same(body)
    assert [one[1] for one in trace if one[0] == "got"] == list(range(5))


@pytest.mark.parametrize("kind", QUEUES)
def test_putters_are_served_in_the_order_of_arrival(kind):
    def body(stage):
        queue = getattr(stage.asyncio, kind)(2)

        async def putter(name):
            await queue.put(name)
            stage.note("put", name)

        queue.put_nowait(10)
        queue.put_nowait(11)
        tasks = stage.blocked(*map(putter, range(4)))
        for _ in range(6):
            stage.attempt(queue.get_nowait)
            stage.note(facts(queue))
            stage.turn()
            stage.note(facts(queue))
        stage.note_ends(tasks)

    assert [one[1] for one in assert_same(body) if one[0] == "put"] == list(range(4))


def test_get_nowait_takes_what_a_woken_getter_was_to_have():
    """The getter waits again, behind those who came meanwhile."""

    def body(stage):
        queue = stage.asyncio.Queue()
        order = []

        async def getter(name):
            order.append((name, await queue.get()))

        tasks = stage.blocked(getter("woken"), getter("behind"))
        queue.put_nowait("stolen")
        stage.attempt(queue.get_nowait)
        stage.note(facts(queue))
        stage.turn()
        stage.note(facts(queue))
        for item in "ab":
            queue.put_nowait(item)
        stage.turn()
        stage.note(order)
        stage.note_ends(tasks)

    trace = assert_same(body)
    assert ([("behind", "a"), ("woken", "b")],) in trace


def test_a_newcomer_takes_the_item_before_the_woken_getter():
    def body(stage):
        queue = stage.asyncio.Queue()
        (woken,) = stage.blocked(queue.get())
        newcomer = stage.task(queue.get())
        queue.put_nowait("one")
        stage.turn()
        stage.note(woken.done(), newcomer.done(), facts(queue))
        queue.put_nowait("two")
        stage.turn()
        stage.note_ends([woken, newcomer])

    assert assert_same(body)[0][:2] == (False, True)


@pytest.mark.parametrize("maxsize", [0, 1, 3])
def test_a_producer_and_a_consumer(maxsize):
    def body(stage):
        queue = stage.asyncio.Queue(maxsize)

        async def produce():
            for item in range(20):
                await queue.put(item)
                stage.note("put", item)

        async def consume():
            for _ in range(20):
                stage.note("got", await queue.get())
                queue.task_done()

        tasks = [stage.task(produce()), stage.task(consume()), stage.task(queue.join())]
        for turn in range(50):
            stage.note("turn", turn, facts(queue))
            stage.turn()
        stage.note_ends(tasks)

    trace = assert_same(body)
    assert [one[1] for one in trace if one[0] == "got"] == list(range(20))


# --- full, empty, too often


def test_full_and_empty():
    def body(stage):
        queue = stage.asyncio.Queue(1)
        stage.attempt(queue.get_nowait)
        stage.attempt(queue.task_done)
        stage.attempt(finish, queue.put(1))
        stage.attempt(queue.put_nowait, 2)
        stage.attempt(queue.task_done)
        stage.attempt(queue.task_done)
        stage.note(facts(queue))

    raised = [one[1] for one in assert_same(body) if one[0] == "raised"]
    too_often = told(ValueError("task_done() called too many times"))
    assert raised == [told(asyncio.QueueEmpty()), too_often, told(asyncio.QueueFull()), too_often]


def test_join():
    def body(stage):
        queue = stage.asyncio.Queue()
        stage.attempt(finish, queue.join())
        queue.put_nowait(1)
        queue.put_nowait(2)
        tasks = stage.blocked(*(queue.join() for _ in range(3)))
        queue.get_nowait(), queue.get_nowait()
        stage.turn()
        for _ in range(2):
            queue.task_done()
            stage.turn()
            stage.note([task.done() for task in tasks], queue._unfinished_tasks, facts(queue))
        queue.put_nowait(3)
        again = stage.blocked(queue.join())
        queue.task_done()
        queue.put_nowait(4)  # before the joiner ran: it was told, and goes
        stage.turn()
        stage.note(again[0].done(), facts(queue))
        stage.note_ends([*tasks, *again])

    trace = assert_same(body)
    assert [one[0] for one in trace[1:4]] == [[False] * 3, [True] * 3, True]


# --- shutdown


@needs_shutdown
@pytest.mark.parametrize("immediate", [False, True])
@pytest.mark.parametrize("kind", QUEUES)
def test_shutdown_with_everybody_blocked(kind, immediate):
    def body(stage):
        full, empty = getattr(stage.asyncio, kind)(2), getattr(stage.asyncio, kind)()
        full.put_nowait(1)
        full.put_nowait(2)
        blocked = stage.blocked(full.put(3), full.put(4), full.join(), empty.get(), empty.get())
        for queue in (full, empty):
            stage.attempt(queue.shutdown, immediate)
            stage.note(facts(queue))
        for _ in range(2):
            stage.turn()
            stage.note([task.done() for task in blocked], facts(full), facts(empty))
        stage.attempt(full.put_nowait, 5)
        stage.attempt(stage.run, full.put(5))
        for _ in range(3):
            stage.attempt(stage.run, full.get())
        stage.attempt(full.get_nowait)
        for _ in range(3):
            stage.attempt(full.task_done)
        stage.attempt(stage.run, full.join())
        stage.attempt(full.shutdown)
        stage.note_ends(blocked)

    trace = assert_same(body)
    assert ("raised", told(asyncio.QueueShutDown())) in trace
    assert trace[4][0] == [True, True, immediate, True, True]


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_joiner_of_a_queue_that_is_opened_goes_on_waiting(done):
    def body(stage):
        queue = stage.asyncio.Queue()
        for item in range(2):
            queue.put_nowait(item)
        joiner, cancelled = stage.blocked(queue.join(), queue.join())
        for _ in range(done):
            queue.task_done()
        stage.note(len(queue._getters))  # opens it
        cancelled.cancel()
        queue.put_nowait(2)
        for _ in range(3 - done):
            stage.turn()
            stage.note(joiner.done(), cancelled.done(), queue._unfinished_tasks)
            queue.task_done()
        stage.turn()
        stage.note(joiner.done())

    assert assert_same(body)[-1] == (True,)


@needs_shutdown
def test_shutdown_and_then_at_once():
    def body(stage):
        queue = stage.asyncio.Queue()
        for item in range(3):
            queue.put_nowait(item)
        queue.get_nowait()
        (joiner,) = stage.blocked(queue.join())
        queue.shutdown()
        stage.note(facts(queue), queue._unfinished_tasks)
        queue.shutdown(immediate=True)
        stage.note(facts(queue), queue._unfinished_tasks)
        stage.turn()
        stage.note(joiner.done())
        queue.task_done()
        stage.turn()
        stage.note(joiner.done())
        stage.attempt(queue.task_done)

    assert assert_same(body)[-3:-1] == [(False,), (True,)]


@needs_shutdown
@pytest.mark.parametrize("immediate", [False, True])
def test_shutdown_between_a_wake_up_and_the_step(immediate):
    def body(stage):
        queue = stage.asyncio.Queue(1)
        getters = stage.blocked(queue.get(), queue.get())
        queue.put_nowait("one")
        queue.shutdown(immediate)
        stage.note(facts(queue))
        stage.turn(2)
        stage.note(facts(queue))
        stage.note_ends(getters)

        queue = stage.asyncio.Queue(1)
        queue.put_nowait("one")
        putters = stage.blocked(queue.put("two"), queue.put("three"))
        queue.get_nowait()
        queue.shutdown(immediate)
        stage.turn(2)
        stage.note(facts(queue))
        stage.note_ends(putters)

    trace = assert_same(body)
    assert ((0, "str", "one") in trace) is not immediate
