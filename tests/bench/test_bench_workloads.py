"""That n operations are n operations, and that a workload which goes wrong says so."""

import asyncio

import pytest

from plait.bench import process
from plait.bench.processes.workloads import IN_PROCESS
from plait.bench.processes.workloads.tasks import LONGEST_SLEEP


@pytest.fixture
def loop():
    made = asyncio.SelectorEventLoop()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("call_soon", "call_soon"),
        ("call_later_cancel", "call_later"),
        ("call_soon_threadsafe", "call_soon_threadsafe"),
        ("call_soon_threadsafe_other", "call_soon_threadsafe"),
        ("create_task_await", "create_task"),
        ("gather", "create_task"),
        ("sleeps", "create_task"),
        ("timers", "call_later"),
    ],
)
@pytest.mark.parametrize("n", [1, 2500])
def test_does_what_it_says_n_times(name, method, n):
    calls = 0

    class Counting(asyncio.SelectorEventLoop):
        pass

    def counted(self, *args, **kwargs):
        nonlocal calls
        calls += 1
        return getattr(asyncio.SelectorEventLoop, method)(self, *args, **kwargs)

    setattr(Counting, method, counted)
    loop = Counting()
    try:
        assert IN_PROCESS[name].run(loop, n).n == n
    finally:
        loop.close()
    # The bench's own start and stop, one per batch at most, and the task that drives the workload.
    assert n <= calls <= n + 5


@pytest.mark.parametrize("name", [name for name, workload in IN_PROCESS.items() if workload.warm_up])
def test_leaves_the_loop_fit_for_another_run(name, loop):
    IN_PROCESS[name].run(loop, 10)
    IN_PROCESS[name].run(loop, 10)
    assert loop.run_until_complete(asyncio.sleep(0, "still alive")) == "still alive"


def test_the_sleeps_are_the_same_for_everybody(loop, monkeypatch):
    drawn = []

    async def noted(delay):
        drawn.append(delay)

    monkeypatch.setattr(asyncio, "sleep", noted)
    IN_PROCESS["sleeps"].run(loop, 100)
    IN_PROCESS["sleeps"].run(loop, 100)
    assert drawn[:100] == drawn[100:]
    assert len(set(drawn)) == 100 and all(0 <= delay <= LONGEST_SLEEP for delay in drawn)


@pytest.mark.parametrize("name", ["readline", "readuntil", "readexactly"])
class TestStreams:
    def test_the_reader_is_looked_up_when_it_is_made(self, name, loop, monkeypatch):
        reads = 0

        class Reader(asyncio.StreamReader):
            async def counted(self, *args):
                nonlocal reads
                reads += 1
                return await getattr(asyncio.streams.StreamReader, name)(self, *args)

        setattr(Reader, name, Reader.counted)
        monkeypatch.setattr(asyncio, "StreamReader", Reader)
        IN_PROCESS[name].run(loop, 300)
        assert reads == 300

    @pytest.mark.parametrize("answer", [b"", b"the same for every call\r\n"])
    def test_a_reader_that_gives_something_else_is_noticed(self, name, loop, monkeypatch, answer):
        class Reader(asyncio.StreamReader):
            async def wrong(self, *_):
                return answer

        setattr(Reader, name, Reader.wrong)
        monkeypatch.setattr(asyncio, "StreamReader", Reader)
        with pytest.raises(RuntimeError, match="wrong data"):
            IN_PROCESS[name].run(loop, 10)


@pytest.mark.parametrize("name", ["sleeping_tasks", "timers"])
def test_memory_is_counted_in_bytes_each(name):
    """In a process of its own, as always: one that freed something before would not have to grow."""
    run = process.run_child(name, "asyncio", 5000)
    assert run.n == 5000
    # A resident set grows by pages: a few of them over so many things.
    assert 50 < run.bytes_each < 10_000
