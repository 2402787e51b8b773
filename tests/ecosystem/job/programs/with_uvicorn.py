"""uvicorn with FastAPI in a process of its own: HTTP and WebSockets at once, under wrk, to the signal that ends it."""

import asyncio
import json
import os
import socket
from pathlib import Path

import load
import stage
import websockets
from stage import check

APP = '''
import asyncio, hashlib
from contextlib import asynccontextmanager
from fastapi import Depends, FastAPI, BackgroundTasks, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

done = []

@asynccontextmanager
async def lifespan(app):
    ticking = asyncio.create_task(asyncio.Event().wait())
    yield
    ticking.cancel()
    print("lifespan ended", flush=True)

app = FastAPI(lifespan=lifespan)

class Item(BaseModel):
    name: str
    number: int

async def resource():
    yield "resource"
    done.append("closed")

@app.get("/loop")
async def loop():
    return {"loop": type(asyncio.get_running_loop()).__module__.partition(".")[0]}

@app.post("/items/{identity}")
async def items(identity: int, item: Item, background: BackgroundTasks, got: str = Depends(resource)):
    background.add_task(done.append, identity)
    return {"id": identity, "item": item, "got": got}

@app.get("/done")
async def finished():
    return done

@app.get("/thread")
def thread(number: int):
    if number < 0:
        raise HTTPException(409, "below zero")
    return number * 2

@app.post("/digest")
async def digest(request: Request):
    sum = hashlib.sha256()
    async for part in request.stream():
        sum.update(part)
    return sum.hexdigest()

@app.get("/lines")
async def lines():
    async def parts():
        for number in range(1000):
            yield f"line {number}\\n"
    return StreamingResponse(parts())

@app.websocket("/chat")
async def chat(socket: WebSocket):
    await socket.accept()
    try:
        while True:
            await socket.send_text((await socket.receive_text()).upper())
    except WebSocketDisconnect:
        done.append("left")
'''
LOOPS = {"asyncio": "asyncio:SelectorEventLoop", "plait-loop": "plait:new_event_loop", "plait-run": "none"}


def uvicorn(*options: str) -> list[str]:
    Path("app.py").write_text(APP)
    command = stage.python("-m", "uvicorn", "app:app", "--app-dir", os.getcwd(), "--loop", LOOPS[stage.SIDE])
    return [*command, "--host", "127.0.0.1", "--port", "0", "--no-use-colors", "--no-access-log", *options]


async def post(url: str, path: str, body: bytes) -> tuple[int, bytes]:
    """A request of the standard library's in a thread, as an ordinary blocking client sends it."""

    def request() -> tuple[int, bytes]:
        import http.client

        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=load.PATIENCE)
        connection.request("POST" if body else "GET", path, body or None, {"Content-Type": "application/json"})
        with connection.getresponse() as response:
            answer = response.status, response.read()
        connection.close()
        return answer

    return await asyncio.to_thread(request)


async def talk(url: str, messages: int) -> None:
    async with websockets.connect(url.replace("http", "ws") + "/chat", proxy=None) as connection:
        for number in range(messages):
            await connection.send(f"message {number}")
            assert await connection.recv() == f"MESSAGE {number}"


@check
async def requests_models_dependencies_and_threads() -> None:
    with load.serving(uvicorn()) as served:
        assert json.loads((await post(served.url, "/loop", b""))[1]) == {"loop": stage.LOOP}
        status, answer = await post(served.url, "/items/7", b'{"name": "seven", "number": 7}')
        assert status == 200 and json.loads(answer) == {"id": 7, "item": {"name": "seven", "number": 7}, "got": "resource"}
        assert (await post(served.url, "/items/7", b'{"name": "seven"}'))[0] == 422
        assert (await post(served.url, "/thread?number=-1", b""))[0] == 409
        answers = await asyncio.gather(*(post(served.url, f"/thread?number={number}", b"") for number in range(100)))
        assert [json.loads(body) for _, body in answers] == [2 * number for number in range(100)]
        assert sorted(map(str, json.loads((await post(served.url, "/done", b""))[1])))[0] == "7"
        assert (await post(served.url, "/lines", b""))[1].count(b"\n") == 1000
        import hashlib

        large = os.urandom(8 * 1024 * 1024)
        assert json.loads((await post(served.url, "/digest", large))[1]) == hashlib.sha256(large).hexdigest()
        assert served.end() in (0, -15) and "lifespan ended\n" in served.said


@check
async def wrk_and_fifty_websockets_at_once() -> None:
    with load.serving(uvicorn()) as served:
        pressing = asyncio.create_task(asyncio.to_thread(load.wrk, served.url + "/loop"))
        await asyncio.gather(*(talk(served.url, 100) for _ in range(50)))
        await pressing
        await asyncio.to_thread(load.wrk, served.url + "/lines", connections=16)
        left = json.loads((await post(served.url, "/done", b""))[1])
        assert left.count("left") == 50
        assert served.end() in (0, -15) and "lifespan ended\n" in served.said


@check
async def h11_and_wsproto_in_pure_python() -> None:
    with load.serving(uvicorn("--http", "h11", "--ws", "wsproto")) as served:
        await asyncio.gather(*(talk(served.url, 20) for _ in range(10)))
        await asyncio.to_thread(load.wrk, served.url + "/loop")
        assert served.end() in (0, -15)


@check
async def two_worker_processes() -> None:
    """The workers are started by multiprocessing's spawn; the parent hands them its listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [part if part != "0" else str(port) for part in uvicorn("--workers", "2")]
    # The parent's word comes before the workers': it is theirs that counts, twice.
    with load.serving(command) as served:
        assert await asyncio.to_thread(served.said_times, "Application startup complete", 2)
        assert json.loads((await post(served.url, "/loop", b""))[1]) == {"loop": stage.LOOP}
        await asyncio.to_thread(load.wrk, served.url + "/loop")
        assert served.end() in (0, -15)
        assert "".join(served.said).count("lifespan ended") == 2  # two processes may write into one line


@check
async def a_unix_socket() -> None:
    path = os.path.abspath("s")
    with load.serving(uvicorn("--uds", path), announced=r"unix socket \S+"):
        reader, writer = await asyncio.to_thread(_by_path, path)
        assert reader == b'{"loop":"' + stage.LOOP.encode() + b'"}', writer


def _by_path(path: str) -> tuple[bytes, bytes]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(load.PATIENCE)
        client.connect(path)
        client.sendall(b"GET /loop HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
        return body, head


@check
async def tls() -> None:
    import ssl
    import urllib.request

    files = stage.certificates()
    trusting = ssl.create_default_context(cafile=str(files / "ca.pem"))
    with load.serving(uvicorn("--ssl-certfile", str(files / "server.pem"), "--ssl-keyfile", str(files / "server.key"))) as served:

        def request() -> bytes:
            with urllib.request.urlopen(served.url + "/loop", timeout=load.PATIENCE, context=trusting) as response:
                body: bytes = response.read()
                return body

        assert json.loads(await asyncio.to_thread(request)) == {"loop": stage.LOOP}
        await asyncio.to_thread(load.wrk, served.url + "/loop")
        assert served.end() in (0, -15)


if __name__ == "__main__":
    stage.go()
