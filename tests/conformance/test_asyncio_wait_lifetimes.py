"""The waits of the locks and queues on loops that come and go, under the garbage collector, and very many."""

import asyncio
import gc
import weakref

import pytest
from primitive_cases import CASES
from primitive_stage import CONDITION_IS_MENDED, assert_same, assert_same_if, facts, observe, small_heap, told

__all__ = ["small_heap"]

each_case = pytest.mark.parametrize("case", CASES, ids=str)
# What is said when a coroutine that waits for a condition is destroyed: it wants the lock back first.
ignore_the_destroyed = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


# --- loops


@each_case
def test_on_a_second_loop(case):
    def body(stage):
        other = stage.another_loop()
        thing = case.new(stage)
        stage.note(thing._loop)
        tasks = stage.blocked(case.wait(thing))
        try:
            other.run_until_complete(case.wait(thing))
        except RuntimeError as error:
            stage.note("refused", str(error).rpartition("> ")[2])  # what stands before may be the repr of an inner lock
        stage.note(facts(thing))
        case.wake(thing)
        stage.turn(4)
        stage.note_ends(tasks)

    # older conditions let go of the lock before they look at the loop
    exact = CONDITION_IS_MENDED or case.exact_when_cancelled
    trace = assert_same(body) if exact else observe("plait", "plait", body)
    assert ("refused", "is bound to a different event loop") in trace


@each_case
def test_a_wait_without_a_running_loop(case):
    """It is refused, in the words of an accident, and nobody is left in the queue."""

    def body(stage):
        thing = case.new(stage)
        coroutine = case.wait(thing)
        try:
            coroutine.send(None)
        except (AttributeError, RuntimeError):
            stage.note("refused")
        coroutine.close()
        stage.note(facts(thing))

    assert assert_same(body)[0] == ("refused",)


@each_case
@ignore_the_destroyed
def test_a_loop_that_is_closed_while_tasks_wait(case):
    def body(stage):
        thing = case.new(stage)
        stage.loop = stage.another_loop()
        tasks = stage.blocked(case.wait(thing), case.wait(thing))
        stage.loop.close()
        stage.attempt(case.wake, thing)
        stage.note([task.done() for task in tasks], facts(thing))
        stage.attempt(case.wake, thing)
        for task in tasks:
            stage.attempt(task.cancel)
        stage.note([task.done() for task in tasks], facts(thing))
        del thing, tasks
        gc.collect()

    # asyncio's raise; plait's pass over whoever cannot be woken (docs/differences.md).
    assert_same_if(False, body)
    assert ("raised", told(RuntimeError("Event loop is closed"))) in observe("stock", "stock", body)


# --- memory


@each_case
@ignore_the_destroyed
def test_what_waits_for_itself_is_collected(case):
    """Tasks that alone know the object they wait for."""

    def body(stage):
        class Mine(getattr(stage.asyncio, case.kind)):
            pass

        thing = case.make(Mine)
        thing.tasks = stage.blocked(case.wait(thing), case.wait(thing))
        gone = [weakref.ref(thing), *map(weakref.ref, thing.tasks)]
        del thing
        gc.collect()
        stage.turn(2)
        gc.collect()
        stage.note([reference() is None for reference in gone])

    trace = assert_same(body)
    assert ([True, True, True],) in trace


@each_case
def test_a_task_is_forgotten_when_its_wait_is_over(case):
    """Whether it was cancelled or served, the object keeps neither it nor its coroutine."""

    def body(stage):
        thing = case.new(stage)
        tasks = stage.blocked(*(case.wait(thing) for _ in range(3)))
        gone = [weakref.ref(task) for task in tasks]
        tasks[0].cancel()
        tasks[2].cancel()
        case.wake(thing)
        stage.turn(4)
        stage.note([task.done() for task in tasks])
        del tasks
        gc.collect()
        stage.note([reference() is None for reference in gone], facts(thing))

    assert assert_same(body)[-1][0] == [True] * 3


def resident():
    """Memory of the process in bytes; a native queue's is in no Python allocator's books."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


@each_case
def test_memory_is_flat_after_ten_thousand_cancelled_waiters(case):
    def body(stage):
        thing = case.new(stage)

        def rounds(times):
            for _ in range(times):
                tasks = [stage.task(case.wait(thing)) for _ in range(500)]
                stage.turn(2)
                for task in tasks:
                    task.cancel()
                stage.turn(2)
                assert all(task.cancelled() for task in tasks)
            gc.collect()

        rounds(10)
        objects, memory = len(gc.get_objects()), resident()
        rounds(20)
        stage.note(facts(thing))
        assert len(gc.get_objects()) - objects < 100
        assert resident() - memory < 10_000 * 40

    observe("plait", "plait", body)


@each_case
@pytest.mark.parametrize("loop", ["stock", "plait"])
def test_ten_thousand_waiters(case, loop):
    """Every other one is cancelled, from behind; those who are left are served in the order of their arrival."""
    # there a cancelled one wakes another, for safety, and the order is gone
    cancels = str(case) not in ("Condition.wait", "Barrier.wait")

    def body(stage):
        # the standard ones look for the next waiter from the front each time
        count = 10_000 if stage.keeps(False) else 1_000
        thing = case.new(stage)
        ended = []

        async def worker(name):
            try:
                await case.wait(thing)
            except asyncio.BrokenBarrierError:
                pass
            finally:
                ended.append(name)

        tasks = stage.blocked(*map(worker, range(count)))
        if cancels:
            for task in reversed(tasks[::2]):
                task.cancel()
            stage.turn(2)
            assert ended == list(range(count - 2, -1, -2))
        left = list(range(1, count, 2)) if cancels else list(range(count))
        ended.clear()
        for _ in left:
            if len(ended) == len(left):
                break
            case.wake(thing)
            stage.turn(2)
        assert ended == left
        stage.note_ends(tasks[:2])

    for library in ("stock", "plait"):
        assert len(observe(library, loop, body)) == 2
