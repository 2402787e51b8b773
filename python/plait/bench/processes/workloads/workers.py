"""Servers of several processes: what a request costs when an application runs in two workers, all of their processes counted.

Beside one worker, since workers are there to use another core and not to take more of it for each request; and beside the servers that people use for this,
each in its fastest way, which is on uvloop. Everything, the client among it, shares two cores. The application is a program of aiohttp's, or FastAPI's, which knows nothing
of plait; under plait FastAPI is served by uvicorn. Every page is looked at (`http_client`).
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..columns import GRANIAN, GUNICORN, ONE_WORKER, PLAIN_RUN, PLAIT
from .http import AT_ONCE
from .network import Load

WORKERS = 2


@dataclass(frozen=True, kw_only=True)
class OnWorkers(Load):
    """`n` requests for a page of the application `server`, over so many connections."""

    connections: int = AT_ONCE
    columns: tuple[str, ...] = (PLAIT, ONE_WORKER, PLAIN_RUN)


def workers_in(column: str) -> int:
    return 1 if column in (ONE_WORKER, PLAIN_RUN) else WORKERS


def _by_plait(column: str) -> Callable[[str, int], list[str]]:
    workers = [] if column == PLAIN_RUN else ["--workers", str(workers_in(column))]

    def command(app: str, port: int) -> list[str]:
        program = ["aiohttp_hello.py", str(port)]
        if app == "fastapi":
            program = ["-m", "uvicorn", "fastapi_hello:app", "--loop", "none", "--port", str(port), "--no-access-log", "--log-level", "warning"]
        return ["-m", "plait", "run", *workers, *program]

    return command


def _by_gunicorn(app: str, port: int) -> list[str]:
    # The class has a package of its own now, and is still where it was.
    package = "uvicorn_worker" if importlib.util.find_spec("uvicorn_worker") else "uvicorn.workers"
    worker = ["--worker-class", f"{package}.UvicornWorker"]
    return ["-m", "gunicorn", "--workers", str(WORKERS), *worker, "--bind", f"127.0.0.1:{port}", "--log-level", "warning", f"{app}_hello:app"]


def _by_granian(app: str, port: int) -> list[str]:
    how = ["--interface", "asgi", "--loop", "uvloop", "--http", "1", "--no-ws", "--log-level", "warning"]
    return ["-m", "granian", "--workers", str(WORKERS), *how, "--port", str(port), f"{app}_hello:app"]


# What comes after the interpreter, by the application and the port.
COMMANDS: dict[str, Callable[[str, int], list[str]]] = {
    **{column: _by_plait(column) for column in (PLAIT, ONE_WORKER, PLAIN_RUN)},
    GUNICORN: _by_gunicorn,
    GRANIAN: _by_granian,
}

_AIOHTTP = OnWorkers(
    name="workers_aiohttp",
    group="workers",
    n=20_000,
    least=4_000,
    per="request",
    about=f"hello world by an aiohttp application in {WORKERS} workers, beside one, over {AT_ONCE} connections",
    server="aiohttp",
    packages=("aiohttp",),
)
_FASTAPI = replace(
    _AIOHTTP,
    name="workers_fastapi",
    about=f"hello world by a FastAPI application on uvicorn in {WORKERS} workers, beside one, over {AT_ONCE} connections",
    server="fastapi",
    packages=("fastapi", "uvicorn"),
)
WORKLOADS = (
    _AIOHTTP,
    _FASTAPI,
    replace(
        _FASTAPI,
        name="workers_servers",
        about=f"hello world by a FastAPI application in {WORKERS} workers: uvicorn under plait, gunicorn's uvicorn workers, granian, over {AT_ONCE} connections",
        columns=(PLAIT, GUNICORN, GRANIAN),
    ),
)
