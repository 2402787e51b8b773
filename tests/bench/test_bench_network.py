"""The network half: real servers, the real client, and servers that do not do as they should."""

import asyncio
import os
import resource

import pytest
from benching import ANYWHERE, fake_uvloop, measured

from plait.bench import cores, network
from plait.bench.cores import Cores
from plait.bench.plan import Plan
from plait.bench.process import ChildFailed, started
from plait.bench.processes.workloads import LEAST_REQUESTS, WORKLOADS, Echo, Idle

# A loop that is uvloop by name, with something done to what its servers receive.
UVLOOP = """
import asyncio, os, sys
class Loop(asyncio.SelectorEventLoop):
    async def create_server(self, factory, **options):
        def spoilt():
            protocol = factory()
            received = protocol.data_received
            def data_received(data):
                {body}
            protocol.data_received = data_received
            return protocol
        return await super().create_server(spoilt, **options)
new_event_loop = Loop
"""


def echo(server: str, connections: int = 8) -> Echo:
    workload = WORKLOADS[f"echo_{server}_1k_{connections}"]
    assert isinstance(workload, Echo)
    return workload


def idle(name: str) -> Idle:
    workload = WORKLOADS[name]
    assert isinstance(workload, Idle)
    return workload


class TestEchoes:
    @pytest.mark.parametrize("server", ["protocol", "streams", "sock"])
    @pytest.mark.parametrize("column", ["plait", "loop-only", "asyncio"])
    def test_a_run_tells_what_it_cost_and_what_served(self, server, column):
        run = network.run_echo(echo(server), column, 200, ANYWHERE)
        assert run.n == 200
        assert run.wall_ns > 0 and run.requests_per_s == pytest.approx(1e9 / run.wall_ns)
        assert 0 < run.p50_ns <= run.p99_ns <= run.max_ns
        assert run.cpu_ns is not None and run.client_cpu_ns is not None
        assert run.plait_installed is (column == "plait")
        served = {name: module for name, module in run.used.items() if name.startswith("served: ")}
        if server == "sock":
            assert served == {}
        else:
            assert served["served: transport"].startswith("asyncio" if column == "asyncio" else "plait")
        if server == "streams":
            module = __import__("plait.asyncio").asyncio if column == "plait" else asyncio
            assert served["served: StreamReader"] == module.StreamReader.__module__

    def test_large_messages_and_many_connections(self):
        workload = WORKLOADS["echo_protocol_64k_64"]
        assert isinstance(workload, Echo)
        assert network.run_echo(workload, "asyncio", 100, ANYWHERE).n == 100

    def test_a_reference_server(self):
        assert network.why_not("epoll", echo("protocol"), ANYWHERE) is None
        run = network.run_echo(echo("protocol"), "epoll", 100, ANYWHERE)
        assert run.n == 100 and run.loop_module is None

    def test_the_references_stand_beside_the_protocols_only(self, tmp_path):
        argv = ("--only", "echo_protocol_1k_8,echo_sock_1k_8", "--loops", "asyncio,epoll")
        workloads = measured(tmp_path, *argv)["workloads"]
        assert list(workloads["echo_protocol_1k_8"]["columns"]) == ["asyncio", "epoll"]
        assert workloads["echo_protocol_1k_8"]["best_peer"] == "asyncio"
        assert list(workloads["echo_sock_1k_8"]["columns"]) == ["asyncio"]

    def test_a_reference_that_is_refused_is_left_out(self, tmp_path, monkeypatch):
        monkeypatch.setattr(network, "why_not", lambda reference, *_: "no" if reference == "io_uring" else None)
        written = measured(tmp_path, "--only", "echo_protocol_1k_8", "--loops", "asyncio,epoll,io_uring")
        assert written["missing"] == {"io_uring": "no"}
        assert list(written["workloads"]["echo_protocol_1k_8"]["columns"]) == ["asyncio", "epoll"]


class TestIdleConnections:
    @pytest.mark.parametrize("name", ["idle_connection", "idle_stream_connection"])
    def test_the_servers_growth_is_measured_per_connection(self, name):
        run = network.run_idle(idle(name), "asyncio", 300, ANYWHERE)
        assert run.n == 300
        # Anything else would be the growth of another process, or of nothing.
        assert 100 < run.bytes_each < 50_000
        assert run.used["served: transport"].startswith("asyncio.")

    def test_fewer_connections_where_the_limit_demands_it(self, monkeypatch):
        monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 5000))
        assert network.most_connections() == 5000 - network.OTHER_DESCRIPTORS
        plan = Plan(("idle_connection", "call_soon"), ("asyncio",), 1, 1.0, network.most_connections())
        assert plan.count("idle_connection") == 4800
        assert plan.remarks() == [
            "idle_connection: 4,800 connections only, the limit of open files allows no more (ulimit -Hn)"
        ]
        assert plan.count("call_soon") == WORKLOADS["call_soon"].n

    def test_no_remark_where_it_does_not(self):
        assert Plan(("idle_connection",), ("asyncio",), 1, 1.0, 1_000_000).remarks() == []


class TestServersThatFail:
    def test_wrong_answers_are_a_failure(self, monkeypatch, tmp_path):
        fake_uvloop(monkeypatch, tmp_path, UVLOOP.format(body="received(bytes(len(data)))"))
        with pytest.raises(ChildFailed, match="still runs.*beside it: exit status 1: .*Error"):
            network.run_echo(echo("protocol"), "uvloop", 100, ANYWHERE)

    def test_a_dead_server_is_told_with_its_last_words(self, monkeypatch, tmp_path):
        body = "print('out of luck', file=sys.stderr, flush=True); os._exit(7)"
        fake_uvloop(monkeypatch, tmp_path, UVLOOP.format(body=body))
        written = measured(tmp_path, "--only", "echo_protocol_1k_8", "--loops", "uvloop,asyncio", expect=1)
        (failure,) = written["failures"]
        assert failure["column"] == "uvloop"
        assert failure["reason"].startswith("the server: exit status 7: out of luck; beside it: ")
        assert list(written["workloads"]["echo_protocol_1k_8"]["columns"]) == ["asyncio"]

    def test_a_server_that_cannot_start(self, monkeypatch, tmp_path):
        fake_uvloop(monkeypatch, tmp_path, "def new_event_loop():\n    raise OSError('no epoll today')\n")
        with pytest.raises(ChildFailed, match="exit status 1: OSError: no epoll today"):
            network.run_echo(echo("sock"), "uvloop", 100, ANYWHERE)

    def test_another_loops_transports_are_refused(self):
        with started("server", "--column", "loop-only", "--server", "protocol") as server:
            report = server.answer()
            order = {"port": report["port"], "connections": 1, "size": 1}
            with network._client(order, "idle", ANYWHERE) as client:
                client.answer()
                with pytest.raises(ChildFailed, match="its transports are of plait"):
                    network._check_what_served(server, report, "asyncio")

    def test_a_server_does_not_outlive_its_parent(self):
        with started("server", "--column", "asyncio", "--server", "sock") as server:
            server.answer()
            assert server.died() is None
            server._child.stdin.close()
            assert server.died(within=60.0) == "exit status 0: (it said nothing)"


class TestCores:
    def test_two_cores_where_there_are_two(self, monkeypatch):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 8})
        monkeypatch.setattr(cores, "_threads_of_core", lambda cpu: {cpu})
        assert cores.choose() == Cores(server=8, client=3)
        assert str(cores.choose()) == "server or first thread on CPU 8, client or second thread on CPU 3"

    def test_not_two_threads_of_one_core_if_there_is_a_choice(self, monkeypatch):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
        monkeypatch.setattr(cores, "_threads_of_core", lambda cpu: {0, cpu})
        assert cores.choose() == Cores(server=2, client=1)
        monkeypatch.setattr(cores, "_threads_of_core", lambda cpu: {0, 1, 2})
        assert cores.choose() == Cores(server=2, client=0)

    def test_one_cpu_is_said(self, monkeypatch):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4})
        assert cores.choose() == ANYWHERE
        assert "only one CPU is usable" in str(cores.choose())

    def test_the_kernels_lists(self):
        assert cores._parsed("0-2,7\n") == {0, 1, 2, 7}

    def test_the_server_is_pinned(self):
        cpu = max(os.sched_getaffinity(0))
        with started("server", "--column", "asyncio", "--server", "sock", "--core", str(cpu)) as server:
            server.answer()
            assert os.sched_getaffinity(server.pid) == {cpu}


def test_an_echo_is_never_too_short_for_its_clock():
    plan = Plan(("echo_protocol_1k_8",), ("asyncio",), 1, 0.0001, 1)
    assert plan.count("echo_protocol_1k_8") == LEAST_REQUESTS
