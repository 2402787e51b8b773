"""`plait bench` as its user meets it, at a tiny scale.

Nothing here looks at how long anything took: a timed test fails on a busy machine and says nothing on an idle one.
What is tested is whatever would make the figures lies: a child on another loop than it claims, plait's modules in a
peer's process, a workload that does less than it says, a verdict that does not follow from the runs.
"""

import asyncio
import importlib.util
import json
from pathlib import Path

import pytest

from plait import bench
from plait.bench import runner, table
from plait.bench.results import Results, Run
from plait.bench.targets import TARGET_SHARES
from plait.bench.workloads import WORKLOADS

NAMES = [
    "call_soon",
    "call_later_cancel",
    "call_soon_threadsafe",
    "call_soon_threadsafe_other",
    "create_task_await",
    "sleep0",
    "gather",
    "sleeping_tasks",
]


def measured(tmp_path: Path, *argv: str) -> dict:
    """Run the bench at a tiny scale, expect success, and return what it wrote."""
    file = tmp_path / "results.json"
    assert bench.main(["--rounds", "1", "--scale", "0.01", "--json", str(file), *argv]) == 0
    return json.loads(file.read_text(encoding="utf-8"))


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Make the bench find that a package is not installed, whether it is or not."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == package else find_spec(name, *a))


def fake_uvloop(monkeypatch: pytest.MonkeyPatch, directory: Path, source: str) -> None:
    """Put a package of that name in front of a real one, here and in the children."""
    (directory / "uvloop.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(directory)
    monkeypatch.setenv("PYTHONPATH", str(directory), prepend=":")


def results(**values: list[float]) -> Results:
    """`call_soon` as if each loop had been measured with these figures."""
    env = runner.environment(tuple(values))
    made = Results(env, {"loop_only": False}, tuple(values))
    made.runs = {"call_soon": {loop: [run(value) for value in figures] for loop, figures in values.items()}}
    return made


def run(value: float, bytes_each: float | None = None) -> Run:
    return Run("m", "Loop", False, False, 1, value, value / 2, bytes_each)


class TestARun:
    def test_every_workload_runs_on_the_loop_it_claims(self, tmp_path):
        written = measured(tmp_path, "--loops", "asyncio,plait")
        assert list(written["workloads"]) == NAMES
        for name, workload in written["workloads"].items():
            assert list(workload["loops"]) == ["asyncio", "plait"]
            for loop, figures in workload["loops"].items():
                (only_run,) = figures["runs"]
                assert only_run["loop_module"].split(".")[0] == loop
                assert only_run["plait_imported"] is (loop == "plait")
                assert only_run["n"] == round(WORKLOADS[name].n * 0.01)
                assert figures["min"] == figures["median"] == figures["max"] > 0
            assert workload["best_peer"] == "asyncio"
            assert workload["target"] == TARGET_SHARES.get(name)
        assert written["workloads"]["sleeping_tasks"]["unit"] == "bytes/each"
        assert written["failures"] == []

    def test_the_environment_is_told(self, tmp_path):
        written = measured(tmp_path, "--loops", "asyncio", "--only", "sleep0")
        told = written["environment"]
        assert {"python", "implementation", "gil", "machine", "system", "cpus", "usable_cpus"} < set(told)
        assert written["options"]["rounds"] == 1
        assert written["workloads"]["sleep0"]["share"] is None

    def test_only_the_default_installs_plait(self, tmp_path):
        for argv, installed in ((), True), (("--loop-only",), False):
            written = measured(tmp_path, "--loops", "plait", "--only", "sleep0", *argv)
            (only_run,) = written["workloads"]["sleep0"]["loops"]["plait"]["runs"]
            assert only_run["plait_installed"] is installed

    def test_every_round_is_kept(self, tmp_path):
        written = measured(tmp_path, "--loops", "asyncio", "--only", "call_soon,sleep0", "--rounds", "2")
        assert list(written["workloads"]) == ["call_soon", "sleep0"]
        for workload in written["workloads"].values():
            assert len(workload["loops"]["asyncio"]["runs"]) == 2

    @pytest.mark.parametrize("variable", ["PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PLAIT_DISABLE"])
    def test_what_would_change_the_figures_does_not_reach_the_children(self, tmp_path, monkeypatch, variable):
        monkeypatch.setenv(variable, "1")
        fake_uvloop(
            monkeypatch,
            tmp_path,
            "import asyncio, os\n"
            f"assert {variable!r} not in os.environ\n"
            "class Loop(asyncio.SelectorEventLoop): pass\n"
            "new_event_loop = Loop\n",
        )
        assert runner.run_child("sleep0", "uvloop", 10).loop_module == "uvloop"


class TestWhatIsMissingOrBroken:
    def test_a_missing_peer_is_reported_and_left_out(self, tmp_path, monkeypatch, capsys):
        hide(monkeypatch, "rloop")
        written = measured(tmp_path, "--loops", "asyncio,rloop", "--only", "sleep0")
        assert written["missing"] == {"rloop": "not installed: pip install 'plait[bench]'"}
        assert list(written["workloads"]["sleep0"]["loops"]) == ["asyncio"]
        assert "rloop: not installed: pip install 'plait[bench]'" in capsys.readouterr().out

    def test_nothing_but_missing_peers(self, tmp_path, monkeypatch):
        hide(monkeypatch, "rloop")
        written = measured(tmp_path, "--loops", "rloop", "--only", "sleep0")
        assert written["workloads"]["sleep0"]["loops"] == {}

    def test_a_loop_under_a_false_name_is_refused(self, tmp_path, monkeypatch, capsys):
        fake_uvloop(monkeypatch, tmp_path, "from asyncio import new_event_loop\n")
        assert bench.main(["--rounds", "1", "--scale", "0.01", "--loops", "uvloop", "--only", "sleep0"]) == 1
        assert "ran on asyncio.unix_events._UnixSelectorEventLoop instead of uvloop's loop" in capsys.readouterr().out

    def test_a_crash_spares_the_other_loops(self, tmp_path, monkeypatch):
        fake_uvloop(monkeypatch, tmp_path, "raise ImportError('broken build')\n")
        file = tmp_path / "results.json"
        argv = ["--rounds", "1", "--scale", "0.01", "--loops", "uvloop,asyncio", "--only", "sleep0"]
        assert bench.main([*argv, "--json", str(file)]) == 1
        written = json.loads(file.read_text(encoding="utf-8"))
        (failure,) = written["failures"]
        assert (failure["workload"], failure["loop"]) == ("sleep0", "uvloop")
        assert failure["reason"] == "exit status 1: ImportError: broken build"
        assert list(written["workloads"]["sleep0"]["loops"]) == ["asyncio"]

    def test_plait_in_a_peers_process_is_refused(self, tmp_path, monkeypatch):
        source = "import asyncio, plait\nclass Loop(asyncio.SelectorEventLoop): pass\nnew_event_loop = Loop\n"
        fake_uvloop(monkeypatch, tmp_path, source)
        # Found by the child whether or not plait is installed for it.
        monkeypatch.setenv("PYTHONPATH", str(Path(bench.__file__).parents[2]), prepend=":")
        with pytest.raises(runner.ChildFailed, match="plait was imported"):
            runner.run_child("sleep0", "uvloop", 10)


class TestTheRounds:
    def test_every_loop_runs_once_a_round_and_takes_each_place_in_turn(self):
        plan = runner.Plan(("call_soon",), ("plait", "asyncio", "uvloop"), 3, 1.0, False)
        steps = list(plan.steps())
        assert len(steps) == plan.runs == len(set(steps)) == 9
        orders = [[loop for _, round_, loop in steps if round_ == wanted] for wanted in range(3)]
        assert [set(place) for place in zip(*orders)] == [set(plan.loops)] * 3


class TestTheVerdict:
    def test_the_share_is_of_the_best_peers_median(self):
        made = results(plait=[1.0, 9.0, 2.0], asyncio=[8.0], uvloop=[4.0, 3.0, 100.0])
        assert made.best_peer("call_soon") == "uvloop"
        assert made.share("call_soon") == 0.5
        assert made.met("call_soon") is True
        assert made.all_targets_met()

    def test_a_missed_target_fails_the_check_only(self):
        made = results(plait=[5.0], asyncio=[4.0])
        assert made.met("call_soon") is False
        assert bench._exit_code(made, check=True) == 1
        assert bench._exit_code(made, check=False) == 0

    @pytest.mark.parametrize("loops", [{"plait": [5.0]}, {"asyncio": [5.0]}, {"plait": [], "asyncio": [5.0]}])
    def test_what_cannot_be_judged_is_not_met(self, loops):
        made = results(**loops)
        assert made.met("call_soon") is None
        assert bench._exit_code(made, check=True) == 1

    def test_a_workload_without_target_is_never_judged(self):
        made = results(plait=[5.0], asyncio=[4.0])
        made.runs = {"gather": made.runs["call_soon"]}
        assert made.share("gather") == 1.25
        assert made.met("gather") is None
        assert bench._exit_code(made, check=True) == 0

    def test_memory_is_judged_by_bytes(self):
        assert run(7.0, bytes_each=100.0).value == 100.0
        assert run(7.0).value == 7.0

    def test_targets_are_for_workloads_that_exist(self):
        assert set(TARGET_SHARES) <= set(WORKLOADS)


class TestTheWorkloads:
    """That n operations are n operations."""

    @pytest.mark.parametrize(
        ("name", "method"),
        [
            ("call_soon", "call_soon"),
            ("call_later_cancel", "call_later"),
            ("call_soon_threadsafe", "call_soon_threadsafe"),
            ("call_soon_threadsafe_other", "call_soon_threadsafe"),
            ("create_task_await", "create_task"),
            ("gather", "create_task"),
        ],
    )
    @pytest.mark.parametrize("n", [1, 2500])
    def test_does_what_it_says_n_times(self, name, method, n):
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
            assert WORKLOADS[name].run(loop, n).n == n
        finally:
            loop.close()
        # The bench's own start and stop, one per batch at most, and the task that drives the workload.
        assert n <= calls <= n + 5

    @pytest.mark.parametrize("name", [name for name in NAMES if WORKLOADS[name].warm_up])
    def test_leaves_the_loop_fit_for_another_run(self, name):
        loop = asyncio.SelectorEventLoop()
        try:
            WORKLOADS[name].run(loop, 10)
            WORKLOADS[name].run(loop, 10)
            assert loop.run_until_complete(asyncio.sleep(0, "still alive")) == "still alive"
        finally:
            loop.close()


class TestTheFaces:
    def test_list(self, capsys):
        assert bench.main(["--list"]) == 0
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == NAMES

    @pytest.mark.parametrize(
        "argv",
        [
            ["--only", "no_such_workload"],
            ["--loops", "trio"],
            ["--only", ","],
            ["--rounds", "0"],
            ["--scale", "nan"],
            ["--json", "/no/such/directory/results.json"],
        ],
    )
    def test_nonsense_is_refused_before_anything_is_measured(self, argv, capsys):
        with pytest.raises(SystemExit) as refused:
            bench.main(argv)
        assert refused.value.code == 2
        assert argv[0] in capsys.readouterr().err

    def test_the_table_says_median_spread_share_and_verdict(self, capsys):
        table.show(results(plait=[1000.0, 2000.0, 1500.0], uvloop=[3000.0]), cpu=False)
        header, row = capsys.readouterr().out.splitlines()[:2]
        assert header.split() == ["workload", "plait", "uvloop", "best", "peer", "share", "target", "met"]
        assert "1,500 (1,000-2,000)" in row
        assert row.split()[-4:] == ["uvloop", "0.50", f"{TARGET_SHARES['call_soon']:.2f}", "yes"]

    def test_cpu_time_is_shown_on_request(self, capsys):
        made = results(plait=[1000.0], uvloop=[3000.0])
        table.show(made, cpu=False)
        assert "cpu 500 ns" not in capsys.readouterr().out
        table.show(made, cpu=True)
        assert "cpu 500 ns" in capsys.readouterr().out

    def test_progress_is_told_on_stderr_only(self, capsys):
        argv = ["--rounds", "2", "--scale", "0.0001", "--loops", "asyncio", "--only", "sleep0"]
        assert bench.main(argv) == 0
        told = capsys.readouterr()
        assert told.err.splitlines() == ["[1/2] sleep0, round 1 of 2, asyncio", "[2/2] sleep0, round 2 of 2, asyncio"]
        assert "[1/2]" not in told.out
