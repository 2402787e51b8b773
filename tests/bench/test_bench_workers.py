"""Servers of several processes: that it is all of them that are measured, on what their columns say, and that none is left."""

import os
import signal

import pytest
from benching import ANYWHERE

from plait.bench import network
from plait.bench.process import ChildFailed, Process, started
from plait.bench.processes import workers as role
from plait.bench.processes.columns import PACKAGES
from plait.bench.processes.workloads import WORKLOADS, OnWorkers
from plait.bench.processes.workloads.workers import COMMANDS

ALL = {name: workload for name, workload in WORKLOADS.items() if isinstance(workload, OnWorkers)}
EACH = [(name, column) for name, workload in ALL.items() for column in workload.columns]


def needs(name, column="plait"):
    for package in (*WORKLOADS[name].packages, *PACKAGES.get(column, ())):
        pytest.importorskip(package)


def is_there(pid):
    """What has ended and has not been waited for by who took it over is not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(("name", "column"), EACH)
def test_each_is_measured_on_what_its_column_says(name, column):
    needs(name, column)
    run = network.run(WORKLOADS[name], column, 500, ANYWHERE)
    assert run.n == 500 and run.cpu_ns > 0 and run.loaded_by is None
    assert run.requests_per_s == pytest.approx(1e9 / run.wall_ns)
    is_plaits = column not in ("gunicorn", "granian")
    assert run.loop_module.split(".")[0] == ("plait" if is_plaits else "uvloop")
    assert run.plait_imported is run.plait_installed is is_plaits


@pytest.mark.parametrize("column", ["plait", "one-worker", "plain-run"])
def test_all_processes_are_told_and_none_is_left(column):
    needs("workers_aiohttp")
    with started("workers", "--column", column, "--app", "aiohttp") as server:
        report = server.answer()
        workers = {worker["pid"] for worker in report["workers"]}
        assert len(workers) == (2 if column == "plait" else 1)
        # Who supervises is a process more.
        assert workers < set(report["pids"]) if column != "plain-run" else workers == set(report["pids"])
        assert all(map(is_there, report["pids"]))
    assert not any(map(is_there, report["pids"]))


def test_what_is_stuck_is_killed():
    needs("workers_aiohttp")
    with started("workers", "--column", "plait", "--app", "aiohttp") as server:
        report = server.answer()
        for pid in report["pids"]:
            os.kill(pid, signal.SIGSTOP)
    assert not any(map(is_there, report["pids"]))


def test_nothing_is_left_when_who_started_it_is_terminated():
    needs("workers_aiohttp")
    with started("workers", "--column", "one-worker", "--app", "aiohttp") as server:
        report = server.answer()
        os.kill(server.pid, signal.SIGTERM)
        assert server.died(within=60) is not None
        assert not any(map(is_there, report["pids"]))


def test_a_server_that_dies_under_load_is_a_failure(monkeypatch):
    needs("workers_aiohttp")
    answer = Process.answer

    def and_kill(self):
        report = answer(self)
        for pid in report.get("pids", ()):
            os.kill(pid, signal.SIGKILL)
        return report

    monkeypatch.setattr(Process, "answer", and_kill)
    with pytest.raises(ChildFailed, match="beside it the server: .*the server has ended: exit status -9"):
        network.run(WORKLOADS["workers_aiohttp"], "one-worker", 100, ANYWHERE)


def test_a_server_that_cannot_start_says_why():
    pytest.importorskip("gunicorn")
    with started("workers", "--column", "gunicorn", "--app", "nothing") as server:
        with pytest.raises(ChildFailed, match="the server has ended: exit status"):
            server.answer()


def test_a_column_has_its_command_and_a_workload_its_columns():
    assert set(COMMANDS) == {column for workload in ALL.values() for column in workload.columns}
    for command in COMMANDS.values():
        assert "8000" in " ".join(command("fastapi", 8000))


def test_children_and_theirs_are_found():
    read, write = os.pipe()
    first = os.fork()
    if not first:
        second = os.fork()
        if not second:
            os.read(read, 1)
            os._exit(0)
        os.waitpid(second, 0)
        os._exit(0)
    try:
        while len(found := role.descendants(first)) < 1:
            pass
        assert len(found) == 1 and first in role.descendants(os.getpid())
    finally:
        os.write(write, b"x")
        os.waitpid(first, 0)
        os.close(read)
        os.close(write)
