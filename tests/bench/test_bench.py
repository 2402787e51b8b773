"""`plait bench` as its user meets it, at a tiny scale.

Nothing here looks at how long anything took: a timed test fails on a busy machine and says nothing on an idle one.
What is tested is whatever would make the figures lies: a process on another loop than it claims, plait's modules in a
peer's process, a workload that does less than it says, a verdict that does not follow from the runs.
"""

import asyncio
import importlib.util
import os
from pathlib import Path

import plait.asyncio
import pytest
from benching import ANYWHERE, fake_uvloop, measured

from plait import bench
from plait.bench import process, runner
from plait.bench.processes.workloads import IN_PROCESS, WORKLOADS, Bridge, OnLoop, OnThreads
from plait.bench.targets import TARGETS



def names_of(kind: type) -> list[str]:
    return [name for name, workload in IN_PROCESS.items() if isinstance(workload, kind)]


class TestARun:
    def test_every_workload_runs_on_the_loop_it_claims(self, tmp_path):
        written = measured(tmp_path, "--loops", "asyncio,plait,loop-only", "--only", ",".join(names_of(OnLoop)))
        assert list(written["workloads"]) == names_of(OnLoop)
        for name, workload in written["workloads"].items():
            lacking = written["lacking"].get(name, {})
            assert list(workload["columns"]) == [c for c in ("asyncio", "plait", "loop-only") if c not in lacking]
            assert "asyncio" not in lacking
            for column, figures in workload["columns"].items():
                (only_run,) = figures["runs"]
                assert only_run["loop_module"].split(".")[0] == ("asyncio" if column == "asyncio" else "plait")
                assert only_run["plait_imported"] is (column != "asyncio")
                assert only_run["plait_installed"] is (column == "plait")
                assert only_run["n"] == round(WORKLOADS[name].n * 0.01)
                assert figures["min"] == figures["median"] == figures["max"]
            assert workload["best_peer"] == "asyncio"
            assert workload["target"] == (TARGETS[name].share if name in TARGETS else None)
        assert written["failures"] == []

    def test_threads_are_measured_beside_the_standard_library(self, tmp_path):
        names = names_of(OnThreads)
        written = measured(tmp_path, "--loops", "plait,loop-only,asyncio,standard", "--only", ",".join(names))
        assert list(written["workloads"]) == names
        assert list(written["columns"]) == ["plait", "standard"]
        for name, workload in written["workloads"].items():
            assert list(workload["columns"]) == ["plait", "standard"]
            for column, figures in workload["columns"].items():
                (only_run,) = figures["runs"]
                assert only_run["n"] == max(1, round(WORKLOADS[name].n * 0.01))
                assert only_run["loop_module"] is None
                assert only_run["plait_imported"] is only_run["plait_installed"] is (column == "plait")
                assert set(only_run["used"]) == set(WORKLOADS[name].uses) != set()
            assert workload["best_peer"] == "standard" and workload["share"] > 0
        assert written["failures"] == []
        assert "first thread on CPU" in written["environment"]["cores"] or len(os.sched_getaffinity(0)) == 1

    def test_bridges_are_measured_beside_packages_made_for_it(self, tmp_path):
        for package in ("uvloop", "janus", "culsans"):
            pytest.importorskip(package)
        names = names_of(Bridge)
        wanted = [*(["plait"] if hasattr(plait, "Queue") else []), "janus", "culsans"]
        written = measured(tmp_path, "--loops", ",".join(wanted), "--only", ",".join(names))
        assert written["failures"] == []
        for name in names:
            columns = written["workloads"][name]["columns"]
            assert list(columns) == wanted
            for column, figures in columns.items():
                (only_run,) = figures["runs"]
                assert only_run["loop_module"].split(".")[0] == ("plait" if column == "plait" else "uvloop")
                assert only_run["used"][f"{column}.Queue"].split(".")[0] == column

    def test_the_two_columns_of_plait_use_what_they_should(self, tmp_path):
        """In one of them what install() puts there, in the other the standard functions and classes."""
        only = "sleep0,gather,readline,readuntil,readexactly,wait_for,task_group,asyncio_queue,asyncio_event"
        written = measured(tmp_path, "--loops", "plait,loop-only", "--only", only)
        for name, workload in written["workloads"].items():
            for column, module in (("plait", plait.asyncio), ("loop-only", asyncio)):
                (only_run,) = workload["columns"][column]["runs"]
                assert set(only_run["used"]) == set(WORKLOADS[name].uses) != set()
                for used, where in only_run["used"].items():
                    assert where == getattr(module, used).__module__
                assert only_run["task_module"].split(".")[0] == "plait"

    def test_loop_only_leaves_the_installed_column_out(self, tmp_path):
        written = measured(tmp_path, "--loops", "plait,loop-only,asyncio", "--only", "sleep0", "--loop-only")
        assert list(written["workloads"]["sleep0"]["columns"]) == ["loop-only", "asyncio"]
        assert written["workloads"]["sleep0"]["share"] is None
        assert written["workloads"]["sleep0"]["share_loop_only"] > 0

    def test_the_environment_is_told(self, tmp_path):
        written = measured(tmp_path, "--loops", "asyncio", "--only", "sleep0")
        told = written["environment"]
        assert {"date", "python", "implementation", "gil", "processor", "memory", "system", "usable_cpus"} < set(told)
        assert told["command"].startswith("plait bench --rounds 1 --scale 0.01 --json ")
        assert told["packages"] == {"plait": plait.__version__}
        assert written["options"]["rounds"] == 1
        assert written["workloads"]["sleep0"]["share"] is None

    def test_every_round_is_kept(self, tmp_path):
        written = measured(tmp_path, "--loops", "asyncio", "--only", "call_soon,sleep0", "--rounds", "2")
        assert list(written["workloads"]) == ["call_soon", "sleep0"]
        for workload in written["workloads"].values():
            assert len(workload["columns"]["asyncio"]["runs"]) == 2

    def test_a_page_is_written_beside_the_table(self, tmp_path, capsys):
        file = tmp_path / "index.html"
        measured(tmp_path, "--loops", "asyncio,plait", "--only", "sleep0", "--html", str(file))
        assert "sleep0" in capsys.readouterr().out
        assert 'id="workload-sleep0"' in file.read_text(encoding="utf-8")

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
        assert process.run_child("sleep0", "uvloop", 10, ANYWHERE).loop_module == "uvloop"


class TestWhatIsMissingOrBroken:
    def test_a_missing_peer_is_reported_and_left_out(self, tmp_path, monkeypatch, capsys):
        find = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "rloop" else find(name, *a))
        written = measured(tmp_path, "--loops", "asyncio,rloop", "--only", "sleep0")
        assert written["missing"] == {"rloop": "not installed: pip install 'plait[bench]'"}
        assert list(written["workloads"]["sleep0"]["columns"]) == ["asyncio"]
        assert "rloop: not installed: pip install 'plait[bench]'" in capsys.readouterr().out

    @pytest.mark.parametrize("absent", ["janus", "uvloop"])
    def test_a_bridge_needs_its_package_and_its_loop(self, tmp_path, monkeypatch, absent):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == absent else object())
        columns, missing = runner.split_available(("janus",), ("bridge_flow", "sleep0"), ANYWHERE)
        assert columns == () and missing == {"janus": runner.NOT_INSTALLED}

    def test_a_peer_that_no_workload_has_is_not_missed(self, monkeypatch):
        monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
        assert runner.split_available(("asyncio", "standard", "janus"), ("sleep0",), ANYWHERE) == (("asyncio",), {})

    def test_nothing_but_missing_peers(self, tmp_path, monkeypatch):
        monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
        written = measured(tmp_path, "--loops", "rloop", "--only", "sleep0")
        assert written["workloads"]["sleep0"]["columns"] == {}
        assert written["remarks"] == ["no peer was measured: nothing can be judged"]

    def test_a_loop_under_a_false_name_is_refused(self, tmp_path, monkeypatch):
        fake_uvloop(monkeypatch, tmp_path, "from asyncio import new_event_loop\n")
        written = measured(tmp_path, "--loops", "uvloop", "--only", "sleep0", expect=1)
        (failure,) = written["failures"]
        assert failure["reason"] == "ran on asyncio.unix_events._UnixSelectorEventLoop instead of uvloop's loop"

    def test_a_crash_spares_the_other_loops(self, tmp_path, monkeypatch):
        fake_uvloop(monkeypatch, tmp_path, "raise ImportError('broken build')\n")
        written = measured(tmp_path, "--loops", "uvloop,asyncio", "--only", "sleep0", expect=1)
        (failure,) = written["failures"]
        assert (failure["workload"], failure["column"]) == ("sleep0", "uvloop")
        assert failure["reason"] == "exit status 1: ImportError: broken build"
        assert list(written["workloads"]["sleep0"]["columns"]) == ["asyncio"]

    def test_plait_in_a_peers_process_is_refused(self, tmp_path, monkeypatch):
        source = "import asyncio, plait\nclass Loop(asyncio.SelectorEventLoop): pass\nnew_event_loop = Loop\n"
        fake_uvloop(monkeypatch, tmp_path, source)
        # Found by the child whether or not plait is installed for it.
        monkeypatch.setenv("PYTHONPATH", str(Path(bench.__file__).parents[2]), prepend=":")
        with pytest.raises(process.ChildFailed, match="plait was imported"):
            process.run_child("sleep0", "uvloop", 10, ANYWHERE)

    def test_a_package_that_greets_on_stdout_is_borne_with(self, tmp_path, monkeypatch):
        source = "import asyncio\nclass Loop(asyncio.SelectorEventLoop): pass\nnew_event_loop = Loop\n"
        source += "print('[1, 2]\\nhello')\n"
        fake_uvloop(monkeypatch, tmp_path, source)
        assert process.run_child("sleep0", "uvloop", 10, ANYWHERE).n == 10


class TestWhatIsRefused:
    """Reports as a process would send them, each wrong in one way."""

    def report(self, column: str, **wrong: object) -> dict:
        ours = column in ("plait", "loop-only")
        right = {
            "loop_module": "plait" if ours else f"{column}.loop",
            "loop_type": "Loop",
            "task_module": "plait._native" if ours else "_asyncio",
            "plait_imported": ours,
            "used": {"gather": "plait._native" if column == "plait" else "asyncio.tasks"},
            "expected": {"gather": "plait._native"} if column == "plait" else {},
        }
        return right | wrong

    @pytest.mark.parametrize("column", ["plait", "loop-only", "asyncio", "uvloop"])
    def test_what_is_right_passes(self, column):
        process.check(self.report(column), column)

    def test_what_has_no_loop_is_not_asked_for_one(self):
        process.check(self.report("standard", loop_module=None, task_module=None), "standard")

    @pytest.mark.parametrize(
        ("column", "wrong", "why"),
        [
            ("plait", {"loop_module": "asyncio.unix_events"}, "ran on asyncio.unix_events.Loop instead of"),
            ("loop-only", {"loop_module": "uvloop"}, "ran on uvloop.Loop instead of"),
            ("plait", {"task_module": "_asyncio"}, "its tasks are of _asyncio"),
            ("uvloop", {"task_module": "plait"}, "its tasks are of plait"),
            ("plait", {"used": {"gather": "asyncio.tasks"}}, "used the gather of asyncio.tasks instead of that of plait"),
            ("loop-only", {"used": {"gather": "plait._native"}}, "used plait's gather"),
            ("uvloop", {"used": {"StreamReader": "plait"}}, "used plait's StreamReader"),
            ("asyncio", {"plait_imported": True}, "plait was imported"),
            ("janus", {}, "ran on janus.loop.Loop instead of uvloop's loop"),
            ("standard", {"loop_module": None, "plait_imported": True}, "plait was imported"),
            ("standard", {"loop_module": None, "used": {"queue.Queue": "plait.queue"}}, "used plait's queue.Queue"),
            (
                "plait",
                {"loop_module": None, "used": {"queue.Queue": "queue"}, "expected": {"queue.Queue": "plait.queue"}},
                "used the queue.Queue of queue instead of that of plait.queue",
            ),
        ],
    )
    def test_what_is_wrong_does_not(self, column, wrong, why):
        with pytest.raises(process.ChildFailed, match=why):
            process.check(self.report(column, **wrong), column)


class TestTheFaces:
    def test_list(self, capsys):
        assert bench.main(["--list"]) == 0
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(WORKLOADS)

    @pytest.mark.parametrize(
        "argv",
        [
            ["--only", "no_such_workload"],
            ["--only", "no_such_*"],
            ["--loops", "trio"],
            ["--only", ","],
            ["--rounds", "0"],
            ["--scale", "nan"],
            ["--json", "/no/such/directory/results.json"],
            ["--html", "/no/such/directory/index.html"],
        ],
    )
    def test_nonsense_is_refused_before_anything_is_measured(self, argv, capsys):
        with pytest.raises(SystemExit) as refused:
            bench.main(argv)
        assert refused.value.code == 2
        assert argv[0] in capsys.readouterr().err

    def test_patterns_stand_for_names(self):
        assert bench._names(WORKLOADS)("read*,call_soon") == ("readline", "readuntil", "readexactly", "call_soon")

    def test_progress_is_told_on_stderr_only(self, capsys):
        argv = ["--rounds", "2", "--scale", "0.0001", "--loops", "asyncio", "--only", "sleep0"]
        assert bench.main(argv) == 0
        told = capsys.readouterr()
        assert told.err.splitlines() == ["[1/2] sleep0, round 1 of 2, asyncio", "[2/2] sleep0, round 2 of 2, asyncio"]
        assert "[1/2]" not in told.out
