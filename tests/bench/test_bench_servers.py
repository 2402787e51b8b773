"""Workloads on servers that are no plain echoes over TCP: that each measures what it says, and says so when it cannot."""

import os
import socket
import ssl
import threading
import time

import pytest
from benching import ANYWHERE, fake_uvloop, measured

from plait import _native
from plait.bench import network, runner
from plait.bench.plan import Plan
from plait.bench.process import ChildFailed, Lacking
from plait.bench.processes import http_client, tls_client
from plait.bench.processes.workloads import NETWORK, WORKLOADS, Echo, Load, OnWorkers
from plait.bench.processes.workloads.tls import client_context, server_context
from plait.bench.processes.workloads.transfers import PATTERN, PIECE

# One that is asyncio's but for one thing.
LOOP = "import asyncio\nclass Loop(asyncio.SelectorEventLoop):\n    {body}\nnew_event_loop = Loop\n"
OTHERS = [
    name
    for name, workload in NETWORK.items()
    if isinstance(workload, Load) and not isinstance(workload, OnWorkers) and not (isinstance(workload, Echo) and workload.transport == "tcp")
]


@pytest.fixture
def without_wrk(monkeypatch):
    monkeypatch.setattr(network, "wrk", lambda: None)


@pytest.mark.usefixtures("without_wrk")
@pytest.mark.parametrize("name", OTHERS)
def test_each_is_measured_on_asyncio(name):
    for package in WORKLOADS[name].packages:
        pytest.importorskip(package)
    run = network.run(WORKLOADS[name], "asyncio", 60, ANYWHERE)
    assert 0 < run.n <= 60
    assert run.wall_ns > 0 and run.requests_per_s == pytest.approx(1e9 / run.wall_ns)
    assert run.cpu_ns is not None and run.plait_imported is False
    if WORKLOADS[name].server not in ("uvicorn", "aiohttp"):
        assert run.used["served: transport"].startswith("asyncio.")


@pytest.mark.usefixtures("without_wrk")
@pytest.mark.parametrize("name", OTHERS)
def test_each_is_measured_on_plait_or_not_there_yet(name):
    for package in WORKLOADS[name].packages:
        pytest.importorskip(package)
    try:
        run = network.run(WORKLOADS[name], "plait", 60, ANYWHERE)
    except Lacking as lacking:
        assert str(lacking).startswith("plait's loop has no ")
        return
    assert run.loop_module.startswith("plait") and run.plait_installed is True
    if WORKLOADS[name].server not in ("uvicorn", "aiohttp"):
        assert run.used["served: transport"].startswith("plait")


@pytest.mark.parametrize("name", ["unix_echo_1k_8", "connections", "udp_echo_1k_8"])
def test_the_bare_servers(name):
    run = network.run(WORKLOADS[name], "epoll", 200, ANYWHERE)
    assert run.n == 200 and run.loop_module is None


@pytest.mark.parametrize("name", ["sendfile", "stream_drain"])
def test_the_bare_transfers(name):
    run = network.run(WORKLOADS[name], "epoll", 256, ANYWHERE)
    assert run.n == 256 and run.cpu_ns > 0 and run.loop_module is None


def test_the_bare_receiver_of_a_flood():
    run = network.run(WORKLOADS["udp_flood"], "epoll", 2_000, ANYWHERE)
    assert 0 < run.n <= 2_000 and run.cpu_ns > 0 and run.loop_module is None


def test_a_client_is_measured_on_its_own_loop():
    pytest.importorskip("aiohttp")
    run = runner.run_one("aiohttp_client", "plait", 120, ANYWHERE)
    assert run.n == 120 and run.cpu_ns > 0
    assert run.loop_module.startswith("plait")


def test_work_is_never_too_little_for_the_clock():
    plan = Plan(("tls_protocol_64k_8", "udp_flood"), ("asyncio",), 1, 0.0001, 1)
    assert [plan.count(name) for name in plan.workloads] == [1_000, 100_000]


class TestWhatALoopHasNot:
    def test_a_server_that_cannot_be_started_is_no_failure(self, monkeypatch, tmp_path):
        body = "async def create_datagram_endpoint(self, *_, **__): raise NotImplementedError('no UDP here')"
        fake_uvloop(monkeypatch, tmp_path, LOOP.format(body=body))
        written = measured(tmp_path, "--only", "udp_flood", "--loops", "uvloop", "--rounds", "2")
        assert written["lacking"] == {"udp_flood": {"uvloop": "no UDP here"}}
        assert written["failures"] == [] and written["workloads"]["udp_flood"]["columns"] == {}

    def test_nor_is_a_request_that_it_cannot_serve(self, monkeypatch, tmp_path):
        body = "async def sendfile(self, *_, **__): raise NotImplementedError('no sendfile here')"
        fake_uvloop(monkeypatch, tmp_path, LOOP.format(body=body))
        with pytest.raises(Lacking, match="no sendfile here"):
            network.run(WORKLOADS["sendfile"], "uvloop", 1, ANYWHERE)

    def test_nor_what_a_process_of_its_own_cannot_do(self, monkeypatch, tmp_path):
        body = "async def subprocess_exec(self, *_, **__): raise NotImplementedError"
        fake_uvloop(monkeypatch, tmp_path, LOOP.format(body=body))
        with pytest.raises(Lacking, match="NotImplementedError"):
            runner.run_one("spawn_true", "uvloop", 1, ANYWHERE)

    def test_any_other_exception_is_one(self, monkeypatch, tmp_path):
        body = "async def create_datagram_endpoint(self, *_, **__): raise OSError('broken')"
        fake_uvloop(monkeypatch, tmp_path, LOOP.format(body=body))
        with pytest.raises(ChildFailed, match="OSError: broken") as raised:
            network.run(WORKLOADS["udp_flood"], "uvloop", 1, ANYWHERE)
        assert not isinstance(raised.value, Lacking)

    def test_a_package_that_is_not_installed_is_said(self, monkeypatch):
        monkeypatch.setattr(runner.importlib.util, "find_spec", lambda name: None if name == "uvicorn" else object())
        kept, remarks = runner.split_installed(("sleep0", "uvicorn_hello", "aiohttp_server"))
        assert kept == ("sleep0", "aiohttp_server")
        assert remarks == ["uvicorn_hello: left out, uvicorn is not installed: pip install 'plait[bench]'"]


def serving(handle, kind=socket.SOCK_STREAM):
    """The address of a server that handles one connection, or datagrams until it returns, in a thread."""
    bound = socket.socket(socket.AF_INET, kind)
    bound.bind(("127.0.0.1", 0))
    bound.settimeout(30)
    if kind == socket.SOCK_STREAM:
        bound.listen()

    def serve():
        with bound:
            if kind == socket.SOCK_DGRAM:
                handle(bound)
                return
            connection, _ = bound.accept()
            with connection:
                connection.settimeout(30)
                handle(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return bound.getsockname()


class TestWrongAnswersAreNoticed:
    def test_over_tls(self):
        def other_bytes(connection):
            with server_context().wrap_socket(connection, server_side=True) as encrypted:
                encrypted.sendall(bytes(len(encrypted.recv(100))))

        host, port = serving(other_bytes)
        order = {"connections": 1, "size": 64, "warm_up": 1, "requests": 1, "server_pid": os.getpid()}
        with pytest.raises(OSError, match="other bytes came back than were sent"):
            tls_client.load(_native.bench_cpu_ns, client_context(), host=host, port=port, **order)

    def test_the_certificate_is_verified(self):
        def handshake(connection):
            with pytest.raises(ssl.SSLError):
                server_context().wrap_socket(connection, server_side=True)

        with pytest.raises(ssl.SSLCertVerificationError):
            tls_client._Client(ssl.create_default_context(), *serving(handshake), 64, 0)

    def test_of_a_download(self):
        def zeros(connection):
            connection.sendall(bytes(int.from_bytes(connection.recv(8), "little")))

        with pytest.raises(OSError, match="other bytes came than were asked for"):
            _native.bench_download(*serving(zeros), warm_up=1000, requests=1)

    def test_of_a_download_that_ends_too_soon(self):
        def too_few(connection):
            connection.recv(8)
            connection.sendall(PIECE[:10])

        with pytest.raises(ConnectionAbortedError, match="closed by the server"):
            _native.bench_download(*serving(too_few), warm_up=1000, requests=1)

    def test_of_a_connection_that_is_used_once(self):
        with pytest.raises(OSError, match="other bytes came back"):
            order = {"connections": 1, "size": 8, "warm_up": 0, "requests": 1}
            _native.bench_churn(*serving(lambda connection: connection.sendall(bytes(8))), **order)

    @pytest.mark.parametrize(
        ("page", "said"),
        [
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nhey", "404"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nboo", "closed the connection after .*boo"),
        ],
    )
    def test_of_a_page(self, page, said):
        def answer(connection):
            connection.recv(1000)
            connection.sendall(page)

        host, port = serving(answer)
        with pytest.raises(RuntimeError, match=said):
            http_client.load(_native, b"hey", host=host, port=port, wrk=None, requests=1, warm_up=1)

    def test_of_a_page_under_load(self):
        def answer(connection):
            # Before the load, the load, and after it: only its length is looked at under load.
            for page in (b"HTTP/1.1 200 ok", b"HTTP/1.1 500 no", b"HTTP/1.1 500 no"):
                connection.recv(1000)
                connection.sendall(page)

        order = {"connections": 1, "size": 15, "warm_up": 0, "requests": 1, "request": b"GET", "beginning": b"HTTP/1.1 200"}
        with pytest.raises(OSError, match="other bytes came back"):
            _native.bench_client(*serving(answer), **order, timeout=5.0)

    def test_of_datagrams(self):
        def other_bytes(bound):
            data, sender = bound.recvfrom(100)
            bound.sendto(bytes(len(data)), sender)

        order = {"connections": 1, "size": 64, "warm_up": 0, "requests": 1}
        with pytest.raises(OSError, match="other bytes came back"):
            _native.bench_client(*serving(other_bytes, socket.SOCK_DGRAM), **order, transport="udp")


WRK = """Running 1s test @ http://127.0.0.1:8000/
  1 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.63ms  331.55us   9.40ms   96.64%
    Req/Sec    30.91k     1.05k   31.77k    90.91%
  Latency Distribution
     50%  580.00us
     75%    1.62ms
     90%    1.75ms
     99%    2.73s
  33819 requests in 1.10s, 5.10MB read
Requests/sec:  30744.34
Transfer/sec:      4.63MB
"""


class TestHttp:
    @pytest.mark.parametrize("wrk", [True, False])
    def test_by_wrk_where_it_is_installed(self, wrk, monkeypatch):
        pytest.importorskip("aiohttp")
        if wrk and network.wrk() is None:
            pytest.skip("wrk is not installed")
        if not wrk:
            monkeypatch.setattr(network, "wrk", lambda: None)
        requests = 60 if wrk else 2000  # enough for the kernel's clock of processor time to tick
        run = network.run(WORKLOADS["aiohttp_server"], "asyncio", requests, ANYWHERE)
        assert run.loaded_by == ("wrk" if wrk else None)
        assert run.n > requests if wrk else run.n == requests
        assert 0 < run.p50_ns <= run.p99_ns and run.cpu_ns > 0

    def test_what_wrk_says_is_understood(self):
        latencies = {"p50_ns": 580e3, "p90_ns": 1.75e6, "p99_ns": 2.73e9}
        assert http_client.parsed(WRK) == {"requests": 33819, "wall_ns": 1.10e9, **latencies}

    @pytest.mark.parametrize(
        "line", ["  Socket errors: connect 0, read 3, write 0, timeout 0", "  Non-2xx or 3xx responses: 12"]
    )
    def test_what_went_wrong_under_wrk_is_a_failure(self, line):
        with pytest.raises(RuntimeError, match=f"^wrk: {line.strip()}$"):
            http_client.parsed(WRK.replace("Requests/sec", f"{line}\nRequests/sec"))

    def test_nothing_counted_is_one_too(self):
        with pytest.raises(RuntimeError, match="no request was counted"):
            http_client.parsed("")

    @pytest.mark.parametrize("installed", ["/usr/bin/wrk", None])
    def test_the_output_says_by_which(self, installed, monkeypatch, tmp_path):
        monkeypatch.setattr(network, "wrk", lambda: installed)
        monkeypatch.setattr(runner, "run_one", lambda *_: (_ for _ in ()).throw(ChildFailed("not now")))
        pytest.importorskip("uvicorn")
        written = measured(tmp_path, "--only", "uvicorn_hello", "--loops", "asyncio", expect=1)
        assert any(remark.startswith("HTTP servers are loaded by") for remark in written["remarks"])
        assert ("wrk is not installed" in " ".join(written["remarks"])) is (installed is None)


class TestTheNativeClients:
    def test_pieces_follow_each_other_without_a_seam(self):
        assert PIECE * 3 == (PATTERN * (3 * len(PIECE)))[: 3 * len(PIECE)] and len(PIECE) % len(PATTERN) == 0
        host, port = serving(lambda connection: (connection.recv(8), connection.sendall(PIECE * 40), connection.recv(8),
                                                 connection.sendall(PIECE)))  # fmt: skip
        told = _native.bench_download(host, port, warm_up=40 * len(PIECE), requests=len(PIECE))
        assert told["requests"] == len(PIECE) and told["server_cpu_ns"] is None and told["wall_ns"] > 0

    def test_every_datagram_of_a_flood_is_sent(self):
        came = []

        def count(bound):
            bound.settimeout(5)
            while len(came) < 100:
                came.append(bound.recv(100))

        address = serving(count, socket.SOCK_DGRAM)
        assert _native.bench_flood(*address, requests=100, size=10) > 0
        limit = time.monotonic() + 30
        while len(came) < 100 and time.monotonic() < limit:
            time.sleep(0.001)
        assert came == [bytes(range(10))] * 100

    def test_a_datagram_has_its_limits(self):
        for call in (
            lambda: _native.bench_flood("127.0.0.1", 9, requests=1, size=65_508),
            lambda: _native.bench_client(
                "127.0.0.1", 9, connections=1, size=65_508, warm_up=0, requests=1, transport="udp"
            ),
        ):
            with pytest.raises(ValueError, match="at most 65507 bytes"):
                call()

    def test_an_unknown_transport(self):
        with pytest.raises(ValueError, match="'tcp', 'udp' or 'unix', not 'tls'"):
            _native.bench_client("127.0.0.1", 9, connections=1, size=1, warm_up=0, requests=1, transport="tls")

    def test_a_processs_clock(self):
        before = _native.bench_cpu_ns(os.getpid())
        while time.process_time_ns() * 1e-9 < before * 1e-9 + 0.02:
            pass
        assert _native.bench_cpu_ns(os.getpid()) >= before + 10_000_000
        with pytest.raises(OSError):
            _native.bench_cpu_ns(2**32 - 1)


def test_the_servers_name_their_protocol():
    """asyncio sets TCP_NODELAY only on sockets that do: without it, an answer in two writes takes 40 ms."""
    from plait.bench.processes.server import _bound

    with _bound("tcp", None) as tcp, _bound("udp", None) as udp:
        assert (tcp.proto, udp.proto) == (socket.IPPROTO_TCP, socket.IPPROTO_UDP)
        assert not tcp.getblocking() and tcp.getsockname()[0] == "127.0.0.1"
