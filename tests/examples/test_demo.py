"""The demo's programs give right answers on both loops, and the demo would notice if they did not.

The programs run as a user runs them, as child processes: on the standard library too, so that a failure on
plait alone points at plait. The second half feeds wrong results to what verifies them: a check that
cannot fail proves nothing. Rejected: running the programs at full size here, which is the demo's job.
"""

import asyncio
import importlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo"
LAUNCH = {"asyncio": [sys.executable], "plait": [sys.executable, "-m", "plait", "run"]}
CLASSES = {"asyncio": ("asyncio.", "concurrent."), "plait": ("plait.",)}
# Only to end a hang; no test depends on how long anything takes.
HANGS_AFTER = 120


@pytest.fixture
def demo(monkeypatch):
    """Import a module of the demo by name."""
    monkeypatch.syspath_prepend(str(DEMO))
    return importlib.import_module


@pytest.fixture(params=LAUNCH)
def run(request):
    """Run one of the programs to a successful end on one of the loops; return its JSON."""

    def run_program(script: str, *arguments: object) -> dict:
        command = [*LAUNCH[request.param], str(DEMO / script), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS_AFTER)
        assert done.returncode == 0, done.stdout + done.stderr
        outcome = json.loads(done.stdout.splitlines()[-1])
        assert outcome["problems"] == []
        assert outcome["ran_on"].startswith(CLASSES[request.param])
        return outcome

    return run_program


@pytest.mark.parametrize("concurrency", [1, 50, 3000])
def test_port_scan_is_exact(run, concurrency):
    outcome = run("port_scan.py", "--ports", 3000, "--open", 60, "--concurrency", concurrency)
    assert outcome["ports"] == 3000
    assert outcome["opened"] == 60
    assert outcome["verified"] == "60 of 60 open ports found among 3000, 0 false"


def test_crawl_fetches_each_page_once(run):
    outcome = run("crawl.py", "--pages", 60)
    assert outcome["fetched"] == 60
    assert outcome["verified"] == "60 of 60 pages, each served once"


def test_echo_load_returns_every_byte(run, demo):
    outcome = run("echo_load.py", "--connections", 50, "--messages", 5)
    messages_for = demo("echo_load").messages_for
    assert outcome["bytes"] == sum(len(message) for n in range(50) for message in messages_for(n, 5))


def test_primes_are_counted_over_the_cores(run):
    outcome = run("primes.py", "--limit", 10_000, "--workers", 2)
    assert (outcome["primes"], outcome["calls"]) == (1229, 1000)


def test_a_wrong_count_of_primes_is_seen(demo):
    primes = demo("primes")
    right = [primes.primes_between(first, end) for first, end in primes.pieces(1000)]
    assert primes.problems_of(right, 1000) == []
    assert primes.problems_of(right[:-1], 1000) == ["99 answers to 100 questions"]
    assert primes.problems_of([*right[:-1], right[-1] + 1], 1000) == ["1 wrong counts, the first for (990, 1000)"]


def test_progress_lines_end_at_one():
    command = [sys.executable, str(DEMO / "crawl.py"), "--pages", "60", "--progress", "lines"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS_AFTER, check=True)
    *progress, outcome = map(json.loads, done.stdout.splitlines())
    fractions = [line["progress"] for line in progress]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert outcome["problems"] == []


def test_scan_lowers_its_concurrency_to_the_hard_limit():
    program = f"'{sys.executable}' '{DEMO / 'port_scan.py'}'"
    command = f"ulimit -n 256; exec {program} --ports 1000 --open 50 --concurrency 1000"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=HANGS_AFTER)
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert 1 <= outcome["concurrency"] < 256
    assert f"using {outcome['concurrency']}" in done.stderr


def test_judge_accepts_a_right_scan(demo):
    verdict = demo("ports").judge([1, 2, 3], {1: "open", 2: "closed", 3: "closed"}, {1}, set())
    assert verdict.problems() == []


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ({1: "closed", 2: "closed", 3: "closed"}, "missed"),
        ({1: "open", 2: "open", 3: "closed"}, "false"),
        ({1: "open", 2: "ETIMEDOUT", 3: "closed"}, "unanswered"),
        ({1: "open", 2: "closed"}, "skipped"),
    ],
)
def test_judge_flags_a_wrong_scan(demo, answers, kind):
    verdict = demo("ports").judge([1, 2, 3], answers, {1}, set())
    (problem,) = verdict.problems()
    assert problem.startswith(f"1 {kind}: ")


def test_judge_does_not_call_another_programs_port_false(demo):
    verdict = demo("ports").judge([1, 2], {1: "open", 2: "open"}, {1}, {2})
    assert verdict.problems() == []
    assert verdict.foreign == [2]


def test_judge_flags_a_missed_port_that_also_had_no_answer(demo):
    verdict = demo("ports").judge([1], {1: "EMFILE"}, {1}, set())
    assert verdict.missed == [1]
    assert verdict.unanswered == [1]


def test_listening_sees_listeners_and_not_sockets_merely_bound(demo):
    with socket.socket() as listener, socket.socket() as bound:
        listener.bind(("127.0.0.1", 0))
        bound.bind(("127.0.0.1", 0))
        listener.listen()
        ports = demo("ports").listening()
        assert listener.getsockname()[1] in ports
        assert bound.getsockname()[1] not in ports


def test_listening_leaves_out_other_addresses(demo):
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", 0))
        listener.listen()
        assert listener.getsockname()[1] not in demo("ports").listening()


def test_chosen_ports_avoid_listeners_and_prefer_those_never_used_as_sources(demo):
    ephemeral = range(20_000, 65_536)
    chosen = demo("ports").choose(18_000, ephemeral, {10_000, 10_001})
    assert len(chosen) == len(set(chosen)) == 18_000
    assert {10_000, 10_001}.isdisjoint(chosen)
    assert not any(port in ephemeral for port in chosen)


def test_connection_to_itself_is_recognised(demo):
    connected_to_itself = demo("port_scan").connected_to_itself
    with socket.socket() as alone:
        alone.bind(("127.0.0.1", 0))
        alone.connect(alone.getsockname())
        assert connected_to_itself(alone)
    with socket.socket() as listener, socket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
        assert not connected_to_itself(client)


def test_port_without_an_answer_gets_a_second_look(demo, monkeypatch):
    port_scan = demo("port_scan")
    asked = []

    async def probe(port, blocking, timeout):
        asked.append(port)
        return "EMFILE" if asked.count(port) == 1 and port == 2 else "closed"

    monkeypatch.setattr(port_scan, "probe", probe)
    progress = demo("reporting").Progress(None, "", 3)
    answers, second_looks = asyncio.run(port_scan.scan([1, 2, 3], 2, 1.0, progress))
    assert answers == {1: "closed", 2: "closed", 3: "closed"}
    assert second_looks == 1
    assert sorted(asked) == [1, 2, 2, 3]


def test_failing_worker_ends_the_scan_instead_of_hanging_it(demo, monkeypatch):
    port_scan = demo("port_scan")

    async def probe(port, blocking, timeout):
        raise ZeroDivisionError

    monkeypatch.setattr(port_scan, "probe", probe)
    progress = demo("reporting").Progress(None, "", 3)
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(port_scan.scan([1, 2, 3], 2, 1.0, progress))
    assert caught.group_contains(ZeroDivisionError)


SERVED_ONCE = {"/": 1, "/page/1": 1, "/missing": 1}


@pytest.mark.parametrize(
    ("fetched", "broken", "served", "complaint"),
    [
        (["/"], ["/missing"], SERVED_ONCE, "1 pages missed"),
        (["/", "/page/1", "/page/9"], ["/missing"], SERVED_ONCE, "1 pages that do not exist"),
        (["/", "/page/1", "/"], ["/missing"], SERVED_ONCE, "1 pages counted twice"),
        (["/", "/page/1"], [], SERVED_ONCE, "broken links"),
        (["/", "/page/1"], ["/missing"], SERVED_ONCE | {"/": 2}, "the site did not serve"),
    ],
)
def test_crawl_judge_flags_what_is_wrong(demo, fetched, broken, served, complaint):
    judge = demo("crawl").judge
    assert judge(2, ["/", "/page/1"], ["/missing"], SERVED_ONCE) == []
    (problem,) = judge(2, fetched, broken, served)
    assert problem.startswith(complaint)


@pytest.mark.parametrize(
    ("field", "value"),
    [("sent", 9), ("echoed", 11), ("server_received", 9), ("mismatches", 1), ("server_peak", 1)],
)
def test_echo_judge_flags_what_is_wrong(demo, field, value):
    echo_load = demo("echo_load")
    tally = echo_load.Tally(sent=10, echoed=10, server_received=10, server_peak=2)
    assert echo_load.judge(2, 10, tally) == []
    setattr(tally, field, value)
    assert len(echo_load.judge(2, 10, tally)) == 1


def test_driver_notices_the_wrong_loop_and_the_crash(demo):
    runner = demo("runner")
    said = {"ran_on": "asyncio.unix_events._UnixSelectorEventLoop", "seconds": 1.0, "verified": "all", "problems": []}
    assert runner.read_outcome(said, 0, "", runner.STOCK).problems == []
    assert runner.read_outcome(said, 0, "", runner.PLAIT).problems != []
    assert runner.read_outcome(said | {"ran_on": "plaited.Loop"}, 0, "", runner.PLAIT).problems != []
    assert runner.read_outcome(said | {"ran_on": "plait.EventLoop"}, 0, "", runner.PLAIT).problems == []
    crash = runner.read_outcome(None, 1, "Traceback\nValueError: no\n", runner.PLAIT)
    assert crash.problems == ["no result, exit status 1: ValueError: no"]


def test_goodbye_keeps_what_other_connections_count_meanwhile(demo):
    echo_load = demo("echo_load")
    tally = echo_load.Tally(echoed=10)

    class Reader:
        async def read(self):
            tally.echoed += 5
            return b"ab"

    class Writer:
        def write_eof(self):
            pass

        def close(self):
            pass

        async def wait_closed(self):
            pass

    asyncio.run(echo_load.say_goodbye(Reader(), Writer(), tally))
    assert tally.echoed == 17
