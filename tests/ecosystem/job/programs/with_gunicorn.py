"""gunicorn with uvicorn's worker: a parent that forks, and a loop in each child.

The worker's loop is named by a class of the user's, as uvicorn's documentation tells for any loop but uvloop; under ``plait run`` "none".
"""

import json
from pathlib import Path
from signal import SIGHUP, SIGTERM

import load
import stage
from stage import check

APP = '''
import asyncio, os, signal
from contextlib import asynccontextmanager
from uvicorn_worker import UvicornWorker

class Worker(UvicornWorker):
    CONFIG_KWARGS = {"loop": "LOOP", "http": "auto"}

@asynccontextmanager
async def lifespan():
    print("worker up", flush=True)
    yield
    print("worker down", flush=True)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        async with lifespan():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    import json
    if scope["path"] == "/die":
        os.kill(os.getpid(), signal.SIGKILL)
    body = json.dumps([type(asyncio.get_running_loop()).__module__.partition(".")[0], os.getpid()]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
'''
LOOPS = {"asyncio": "asyncio:SelectorEventLoop", "plait-loop": "plait:new_event_loop", "plait-run": "none"}


def gunicorn(*options: str) -> list[str]:
    Path("app.py").write_text(APP.replace("LOOP", LOOPS[stage.SIDE]))
    return stage.python("-m", "gunicorn", "app:app", "-k", "app.Worker", "-b", "127.0.0.1:0", "--no-control-socket", *options)


def wait_for(served: load.Served, words: str, times: int) -> None:
    if not served.said_times(words, times):
        raise AssertionError(f"{words!r} not {times} times in: {''.join(served.said)}")


@check
def two_workers_under_wrk() -> None:
    with load.serving(gunicorn("-w", "2")) as served:
        wait_for(served, "worker up", 2)
        load.wrk(served.url)
        loops, pids = zip(*(json.loads(load.get(served.url)) for _ in range(20)), strict=True)
        assert set(loops) == {stage.LOOP} and 1 <= len(set(pids)) <= 2
        assert served.end(SIGTERM) == 0
        assert served.said_times("worker down", 2)


@check
def a_worker_that_is_killed_is_replaced() -> None:
    with load.serving(gunicorn("-w", "1")) as served:
        wait_for(served, "worker up", 1)
        _, before = json.loads(load.get(served.url))
        try:
            load.get(served.url + "/die")
            raise AssertionError("it answered")
        except OSError:
            pass
        wait_for(served, "worker up", 2)
        loop, after = json.loads(load.get(served.url))
        assert loop == stage.LOOP and before != after
        assert served.end(SIGTERM) == 0


@check
def a_reload_by_hangup_and_workers_of_a_hundred_requests() -> None:
    with load.serving(gunicorn("-w", "1", "--max-requests", "100")) as served:
        wait_for(served, "worker up", 1)
        served.process.send_signal(SIGHUP)
        wait_for(served, "worker up", 2)
        wait_for(served, "worker down", 1)  # until then it takes a part of the requests
        for _ in range(100):
            assert json.loads(load.get(served.url))[0] == stage.LOOP
        wait_for(served, "worker up", 3)
        assert json.loads(load.get(served.url))[0] == stage.LOOP
        assert served.end(SIGTERM) == 0


if __name__ == "__main__":
    stage.go()
