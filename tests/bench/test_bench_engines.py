"""Calls through `plait.executor` and through the engines themselves: that each is made by the engine that it should be, and looked at, and that no cluster is left."""

import contextlib
import os
import subprocess

import pytest
from benching import ANYWHERE

from plait.bench import process, runner
from plait.bench.processes.workloads import IN_PROCESS, OnEngines, engines

EACH = [(name, column) for name, workload in IN_PROCESS.items() if isinstance(workload, OnEngines) for column in workload.columns]
USED = {"plait": "plait._executor", "dask": "distributed.", "ray": "ray."}


@pytest.mark.parametrize(("name", "column"), EACH)
def test_every_call_is_made_through_what_the_column_says(name, column):
    for package in IN_PROCESS[name].packages:
        pytest.importorskip(package)
    run = process.run_child(name, column, 30, ANYWHERE)
    assert run.n == 30 and run.wall_ns > 0
    (used,) = run.used.values()
    assert used.startswith(USED[column])
    assert run.plait_imported is run.plait_installed is (column == "plait")


@pytest.mark.parametrize("name", ["executor_dask", "executor_dask_many"])
def test_wrong_answers_and_lost_ones_are_noticed(name, monkeypatch):
    callers = {
        "right": engines.Caller(lambda value: value, list),
        "wrong": engines.Caller(lambda value: value + 1, lambda values: [value + 1 for value in values]),
        "lost": engines.Caller(lambda value: None, lambda values: list(values)[1:]),
    }
    monkeypatch.setitem(engines.ENGINES, "dask", lambda column: contextlib.nullcontext(callers[column]))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))  # which is changed for workers
    assert IN_PROCESS[name].run("right", 20).n == 20
    for column in ("wrong", "lost"):
        with pytest.raises(RuntimeError, match="wrong data"):
            IN_PROCESS[name].run(column, 20)


def test_a_cluster_ends_with_its_measurement(monkeypatch):
    pytest.importorskip("distributed")
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *arguments, **keywords):
            super().__init__(*arguments, **keywords)
            started.append(self)

    monkeypatch.setattr(engines.subprocess, "Popen", Noted)
    with pytest.raises(ZeroDivisionError), engines._process("dask_cluster.py") as address:
        assert address.startswith("tcp://") and started[0].poll() is None
        raise ZeroDivisionError
    assert started[0].returncode == 0


def test_a_cluster_that_does_not_start_is_a_failure():
    with pytest.raises(RuntimeError, match="whoami.py did not start: exit status 0"), engines._process("whoami.py"):
        pass


def test_what_is_not_installed_is_said_with_its_extra(monkeypatch):
    monkeypatch.setattr(runner.importlib.util, "find_spec", lambda name: None if name in ("ray", "distributed") else object())
    _, missing = runner.split_available(("dask", "ray"), ("executor_dask", "executor_ray"), ANYWHERE)
    assert missing == {"dask": "not installed: pip install 'plait[dask]'", "ray": "not installed: pip install 'plait[ray]'"}
    kept, remarks = runner.split_installed(("sleep0", "executor_dask", "executor_ray"))
    assert kept == ("sleep0",)
    assert remarks == [
        "executor_dask: left out, distributed is not installed: pip install 'plait[dask]'",
        "executor_ray: left out, ray is not installed: pip install 'plait[ray]'",
    ]
