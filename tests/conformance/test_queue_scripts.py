"""Random scripts: in one thread, in threads that move one at a time, and in threads that run free.

In the first two a script is played on the standard classes and on plait's, and the logs are compared. Of threads that
move one at a time it is not compared which of several that wait goes on, only that as many do and with what: nobody
promises more. In the last there is nothing to compare, but everything to count.
"""

import queue
import sys
import threading
import time
from collections import Counter
from contextlib import suppress

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from loop_fixtures import start_the_clock
from thread_sides import LIMIT, SIDES, Strand, settle
from thread_stage import told

KINDS = st.sampled_from(["Queue", "LifoQueue", "PriorityQueue"])
INSIDES = st.sampled_from(["mutex", "not_empty", "not_full", "all_tasks_done", "queue"])
SHUTS_DOWN = sys.version_info >= (3, 13)


def scripted(examples, *, shortened=False):
    """A script that hangs is not shortened: each attempt would take until the limit."""
    phases = [Phase.generate, Phase.shrink] if shortened else [Phase.generate]
    return settings(max_examples=examples, deadline=None, database=None, phases=phases)


def assert_same(play, *arguments):
    logs = {}
    for name, side in SIDES.items():
        start_the_clock()
        logs[name] = play(side, *arguments)
    assert logs["plait"] == logs["stock"]


# --- one thread

keys = st.integers(-3, 3) | st.booleans() | st.sampled_from([0.5, -1.5, 2**70])
one_step = st.one_of(
    st.tuples(st.just("put_nowait"), keys),
    st.tuples(st.just("put_nowait"), keys),
    st.tuples(st.just("put"), keys, st.just(True), st.just(0)),
    st.tuples(st.just("get_nowait")),
    st.tuples(st.just("get_nowait")),
    st.tuples(st.just("get"), st.booleans(), st.just(0)),
    st.tuples(st.sampled_from(["task_done", "task_done", "qsize", "full", "empty"])),
    st.tuples(st.just("maxsize"), st.integers(-1, 4)),
    st.tuples(st.just("unfinished_tasks"), st.integers(0, 3)),
    st.tuples(st.just("look"), INSIDES),
    *([st.tuples(st.just("shutdown"), st.booleans())] if SHUTS_DOWN else []),
)


def play_alone(side, kind, maxsize, script):
    q = getattr(side.queue, kind)(maxsize)
    log = []
    for step, *arguments in script:
        if step == "look":
            getattr(q, *arguments)
        elif step in ("maxsize", "unfinished_tasks"):
            setattr(q, step, *arguments)
        else:
            log.append((step, *told(getattr(q, step), *arguments)))
        log.append((q.qsize(), q.unfinished_tasks, q.maxsize, q.full()))
    log.append([q.queue.pop() if kind != "PriorityQueue" else q._get() for _ in range(q.qsize())])
    return log


@scripted(150, shortened=True)
@given(KINDS, st.integers(0, 4), st.lists(one_step, max_size=25))
def test_one_thread(kind, maxsize, script):
    assert_same(play_alone, kind, maxsize, script)


# --- threads that move one at a time

turn = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 5)),
    st.tuples(st.just("put"), st.integers(0, 5)),
    st.tuples(st.just("get")),
    st.tuples(st.just("get")),
    st.tuples(st.sampled_from(["join", "task_done", "task_done"])),
    st.tuples(st.just("look"), INSIDES),
    *([st.tuples(st.just("shutdown"), st.booleans())] if SHUTS_DOWN else []),
)


def play_turns(start, turns):
    """Each turn in a thread of its own; who is through after it, and with what."""
    strands, log = [], []
    for number, (name, *arguments) in enumerate(turns):
        strands.append((name, Strand(told, start, name, *arguments)))
        settle(strand for _, strand in strands)
        through = [(name, strand) for name, strand in strands if strand.over]
        strands = [one for one in strands if one not in through]
        log.append((number, name, sorted(str((name, strand.value)) for name, strand in through)))
    return log, [strand for _, strand in strands]


def end(strands):
    """Everybody has been let go."""
    for strand in strands:
        strand.join()


def play_queue(side, kind, maxsize, script):
    q = getattr(side.queue, kind)(maxsize)

    def start(name, *arguments):
        # what an attribute is differs from queue to queue
        return getattr(q, *arguments) and None if name == "look" else getattr(q, name)(*arguments)

    log, waiting = play_turns(start, script)
    log.append((len(waiting), q.qsize(), q.unfinished_tasks))
    q.maxsize = 1000
    while left := [strand for strand in waiting if not strand.over]:
        with q.mutex:  # once more if one that put in the meantime has made another join wait again
            q.unfinished_tasks = 0
            for number in range(len(left)):
                q._put(number)
            for condition in (q.not_empty, q.not_full, q.all_tasks_done):
                condition.notify_all()
        settle(left)
    end(waiting)
    return log


@scripted(80)
@given(KINDS, st.integers(0, 2), st.lists(turn, max_size=14))
def test_a_queue_turn_by_turn(kind, maxsize, script):
    assert_same(play_queue, kind, maxsize, script)


permit = st.one_of(
    st.tuples(st.just("acquire")),
    st.tuples(st.just("acquire")),
    st.tuples(st.just("acquire"), st.just(False)),
    st.tuples(st.just("acquire"), st.just(True), st.sampled_from([0, -1, LIMIT * 100])),
    st.tuples(st.just("release"), st.integers(-1, 3)),
    st.tuples(st.just("release")),
)


def play_semaphore(side, value, script):
    semaphore = side.threading.Semaphore(value)
    log, waiting = play_turns(lambda name, *arguments: getattr(semaphore, name)(*arguments), script)
    log.append((len(waiting), semaphore._value))
    if waiting:
        semaphore.release(len(waiting))
    end(waiting)
    return log


@scripted(60)
@given(st.integers(0, 2), st.lists(permit, max_size=14))
def test_a_semaphore_turn_by_turn(value, script):
    assert_same(play_semaphore, value, script)


signal_step = st.one_of(
    st.tuples(st.just("wait")),
    st.tuples(st.just("wait")),
    st.tuples(st.just("wait"), st.sampled_from([0, -1, LIMIT * 100])),
    st.tuples(st.just("notify"), st.integers(0, 3)),
    st.tuples(st.just("notify")),
    st.tuples(st.just("notify_all")),
)


def play_condition(side, script):
    condition = side.threading.Condition()

    def start(name, *arguments):
        with condition:
            return getattr(condition, name)(*arguments), repr(condition).rpartition(",")[2]

    log, waiting = play_turns(start, script)
    start("notify_all")
    end(waiting)
    return log


@scripted(60)
@given(st.lists(signal_step, max_size=14))
def test_a_condition_turn_by_turn(script):
    assert_same(play_condition, script)


# --- threads that run free

WAYS = st.sampled_from(["block", "brief", "never"])


def put(q, item, way):
    while True:
        try:
            q.put(item, way != "never", 0.0005 if way == "brief" else None)
        except queue.Full:
            time.sleep(0)
        else:
            return


def get(q, way):
    while True:
        with suppress(queue.Empty):
            return q.get(way != "never", 0.0005 if way == "brief" else None)
        time.sleep(0)


def play_freely(side, kind, maxsize, producers, consumers, looks):
    """Every item is got exactly once, by one; each consumer of a Queue sees each producer's items in their order."""
    q = getattr(side.queue, kind)(maxsize)
    done = (1000, 0)
    begin = threading.Barrier(len(producers) + len(consumers) + len(looks))

    def produce(name, ways):
        begin.wait()
        for number, way in enumerate(ways * 4):
            put(q, (name, number), way)

    def consume(ways):
        begin.wait()
        got = []
        while True:
            item = get(q, ways[len(got) % len(ways)])
            if item != done:
                got.append(item)
            q.task_done()
            if item == done:
                return got

    def look(inside):
        begin.wait()
        return getattr(q, inside)

    producing = [Strand(produce, name, ways) for name, ways in enumerate(producers)]
    consuming = [Strand(consume, ways) for ways in consumers]
    looking = [Strand(look, inside) for inside in looks]
    for strand in producing + looking:
        strand.result()
    Strand(q.join).result()
    for _ in consumers:
        q.put(done)
    everything = [strand.result() for strand in consuming]
    q.join()
    put_in = Counter((name, number) for name, ways in enumerate(producers) for number in range(4 * len(ways)))
    assert Counter(sum(everything, [])) == put_in
    assert (q.qsize(), q.unfinished_tasks) == (0, 0)
    if kind == "Queue":
        for got in everything:
            for name in range(len(producers)):
                mine = [number for producer, number in got if producer == name]
                assert mine == sorted(mine)


ways = st.lists(WAYS, min_size=1, max_size=6)


@scripted(60)
@given(
    KINDS,
    st.integers(0, 3),
    st.lists(ways, min_size=1, max_size=3),
    st.lists(ways, min_size=1, max_size=3),
    st.lists(INSIDES, max_size=2),
)
def test_threads_that_run_free(kind, maxsize, producers, consumers, looks):
    for side in SIDES.values():
        start_the_clock()
        play_freely(side, kind, maxsize, producers, consumers, looks)
