"""Bad input: what is refused, in which words, and that nothing hangs."""

import contextvars
import importlib
import socket
import sys
import threading
import time
import types
from collections.abc import Iterator

import pytest
from executor_packages import needs

import plait
from plait.concurrent.futures import ClusterUnreachable, EngineMissing, EngineVersion, NotSupported


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "there is no engine ''"),
        ("dusk", r"there is no engine 'dusk' \(is it 'dask'\?\): there are 'threads', 'processes', 'dask'"),
        ("Threads", r"is it 'threads'\?"),
        ("thread", r"is it 'threads'\?"),
        ("tcp://127.0.0.1:8786", "there is no engine 'tcp'"),
        ("threads://127.0.0.1:1", "'threads' has no address"),
        ("processes:", "'processes' has no address"),
        ("dask:", "it is to be dask://host:port"),
        ("dask://", "it is to be dask://host:port"),
        ("dask://host", "it is to be dask://host:port"),
        ("dask://:8786", "it is to be dask://host:port"),
        ("dask://host:0", "it is to be dask://host:port"),
        ("dask://host:99999", "it is to be dask://host:port"),
        ("dask://host:port", "it is to be dask://host:port"),
        ("dask:host:8786", "it is to be dask://host:port"),
        ("ray://host:1/path", "it is to be ray://host:port"),
        ("ray://me@host:1", "it is to be ray://host:port"),
        ("ray://[::1", "it is to be ray://host:port"),
    ],
)
def test_a_spec_that_is_none(spec, words):
    with pytest.raises(ValueError, match=words):
        plait.executor(spec)


@pytest.mark.parametrize("spec", [None, 3, b"threads", ["threads"]])
def test_a_spec_that_is_no_string(spec):
    with pytest.raises(TypeError, match="an executor is named by a string"):
        plait.executor(spec)


@pytest.mark.parametrize("spec", ["threads", "processes", "dask", "ray", "dask://127.0.0.1:1"])
def test_options_that_there_are_not(spec):
    with pytest.raises(TypeError, match=r"takes no option 'nonsense'; it takes max_workers, carry_context, retries"):
        plait.executor(spec, nonsense=1)
    with pytest.raises(TypeError, match="takes no option 'address'"):
        plait.executor(spec, address="x")


@pytest.mark.parametrize("spec", ["threads", "processes", "dask", "ray"])
def test_options_of_no_sense(spec):
    for options, error, words in [
        ({"max_workers": 0}, ValueError, "max_workers must be greater than 0"),
        ({"max_workers": -1}, ValueError, "max_workers must be greater than 0"),
        ({"retries": -1}, ValueError, "retries must be >= 0"),
        ({"carry_context": ["request"]}, TypeError, "carry_context takes a bool or ContextVars, not 'str' object"),
        ({"carry_context": 5}, TypeError, "not iterable"),
    ]:
        with pytest.raises(error, match=words):
            plait.executor(spec, **options)


@pytest.mark.parametrize("engine", ["dask", "ray"])
@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_time_that_is_none(engine, timeout):
    with pytest.raises(ValueError, match="connect_timeout must be a number of seconds, more than 0"):
        plait.executor(f"{engine}://127.0.0.1:1", connect_timeout=timeout)


@pytest.mark.parametrize("spec", ["dask://127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_cluster_has_the_workers_that_it_has(spec):
    with pytest.raises(ValueError, match="max_workers is for"):
        plait.executor(spec, max_workers=2)


def test_threads_say_what_they_cannot_do():
    with plait.executor("threads", carry_context=[contextvars.ContextVar("x")]) as executor:
        with pytest.raises(NotSupported, match=r'executor\("processes"\) ends calls'):
            executor.options(timeout=3)
        assert isinstance(NotSupported(), NotImplementedError)


# ---- clusters that are not there


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of somebody who takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def deaf() -> Iterator[str]:
    """The address of somebody who does not even take connections: its queue is full."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
            fillers.append(filler)
        yield f"127.0.0.1:{server.getsockname()[1]}"
        for filler in fillers:
            filler.close()


@pytest.fixture
def nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("engine", ["dask", "ray"])
@pytest.mark.parametrize("who", ["nobody", "deaf", "silent"])
def test_a_cluster_that_nobody_answers_for(engine, who, request):
    needs(engine)
    if engine == "ray" and importlib.import_module("ray").is_initialized():
        pytest.skip("this process is in a Ray session")
    address = request.getfixturevalue(who)
    began = time.monotonic()
    with pytest.raises(ClusterUnreachable, match=address) as caught:
        plait.executor(f"{engine}://{address}", connect_timeout=1)
    assert isinstance(caught.value, ConnectionError) and isinstance(caught.value, TimeoutError)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_name_that_is_none(engine):
    needs(engine)
    if engine == "ray" and importlib.import_module("ray").is_initialized():
        pytest.skip("this process is in a Ray session")
    with pytest.raises(ClusterUnreachable, match="no-such-host.invalid:8786"):
        plait.executor(f"{engine}://no-such-host.invalid:8786", connect_timeout=5)


# ---- packages that are not there, or do not fit


@pytest.mark.parametrize(("engine", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_an_engine_that_is_not_installed(engine, package, monkeypatch):
    def without(name, *args, **kwargs):
        if name == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return original(name, *args, **kwargs)

    original = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(EngineMissing, match=rf"pip install 'plait\[{engine}\]'") as caught:
        plait.executor(engine)
    assert isinstance(caught.value, ImportError) and caught.value.name == package


@pytest.mark.parametrize(("engine", "package", "oldest"), [("dask", "distributed", "2024.1"), ("ray", "ray", "2.10")])
def test_an_engine_that_is_too_old(engine, package, oldest, monkeypatch):
    old = types.ModuleType(package)
    old.__version__ = "1.2.3"
    monkeypatch.setitem(sys.modules, package, old)
    if package == "ray":
        monkeypatch.setitem(sys.modules, "ray.exceptions", types.ModuleType("ray.exceptions"))
    with pytest.raises(EngineVersion, match=rf"{package} 1\.2\.3 is too old for plait: {oldest}"):
        plait.executor(engine)


def test_a_dask_cluster_that_does_not_fit():
    from plait._executor import _dask_cluster

    def versions(python="3.13.0.final.0", distributed="2025.1.0", plaits="0.1.0"):
        return {"packages": {"python": python, "distributed": distributed, "plait": plaits}}

    class Client:
        def __init__(self, scheduler, worker):
            self.found = {"client": versions(), "scheduler": scheduler, "workers": {"tcp://w": worker}}

        def get_versions(self, packages):
            assert packages == ["plait"]
            return self.found

    check = _dask_cluster._check_versions
    check(None, Client(versions(plaits=None), versions(python="3.13.7.final.0")))
    for scheduler, worker, words in [
        (versions(distributed="2024.1.0"), versions(), "the Dask scheduler has distributed 2024.1.0, and here is distributed 2025.1.0"),
        (versions(), versions(python="3.11.2.final.0"), "the Dask worker tcp://w has python 3.11, and here is python 3.13"),
        (versions(), versions(plaits=None), "the Dask worker tcp://w does not have plait, and here is plait 0.1.0"),
    ]:
        with pytest.raises(EngineVersion, match=words):
            check(None, Client(scheduler, worker))


# ---- what an engine cannot do


def test_a_dask_worker_with_several_threads():
    needs("dask")
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster, Client(cluster, set_as_default=False) as client:
        with plait.executor("dask", client=client) as executor:
            with pytest.raises(NotSupported, match=r"has 2 threads.*dask worker --nthreads 1.*executor\(\"processes\"\)"):
                executor.options(timeout=1)
            begun, go = threading.Event(), threading.Event()
            plait_events.update(begun=begun, go=go)
            future = executor.submit(wait_for_event)
            assert begun.wait(60)
            with pytest.raises(NotSupported):
                future.kill()
            go.set()
            assert future.result(60) == "over"
        assert client.submit(pow, 2, 3).result() == 8, "the program's own client was closed"
    with pytest.raises(ValueError, match="it has its address"):
        plait.executor("dask://127.0.0.1:1", client=client)


plait_events: dict[str, threading.Event] = {}


def wait_for_event() -> str:
    plait_events["begun"].set()
    plait_events["go"].wait(60)
    return "over"


def test_a_scheduler_that_goes_away():
    needs("dask")
    from distributed import LocalCluster

    from plait.concurrent.futures import ClusterLost

    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50)
    executor = plait.executor("dask://" + cluster.scheduler_address.removeprefix("tcp://"), connect_timeout=2)
    try:
        assert executor.submit(pow, 2, 3).result(60) == 8
        future = executor.submit(time.sleep, 600)
        cluster.close()
        with pytest.raises(ClusterLost):
            future.result(60)
    finally:
        executor.shutdown(timeout=5)
        cluster.close()
