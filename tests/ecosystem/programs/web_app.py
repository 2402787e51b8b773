"""A FastAPI application; what it prints tells the test how far it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    print("application started", flush=True)
    yield
    print("application stopped", flush=True)


app = FastAPI(lifespan=lifespan)


@app.get("/loop")
async def loop() -> dict[str, str]:
    return {"loop": type(asyncio.get_running_loop()).__module__.partition(".")[0]}


@app.get("/items/{number}")
async def item(number: int, word: str = "none") -> dict[str, object]:
    await asyncio.sleep(0)
    return {"number": number, "word": word}


@app.get("/thread")
def in_a_thread() -> dict[str, bool]:
    """FastAPI runs a plain function in a worker thread, so no loop runs there."""
    return {"loop": asyncio._get_running_loop() is not None}


@app.post("/echo")
async def echo(request: Request) -> StreamingResponse:
    print("request begun", flush=True)
    body = await request.body()
    return StreamingResponse(iter([body]))


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(1000):
            yield f"line {number}\n".encode()
            await asyncio.sleep(0)

    return StreamingResponse(lines())


@app.websocket("/chat")
async def chat(socket: WebSocket) -> None:
    await socket.accept()
    async for word in socket.iter_text():
        await socket.send_text(word.upper())
