"""A FastAPI application that says hello, for whichever server is asked to serve it."""

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from whoami import HELLO, whoami  # type: ignore[import-not-found,unused-ignore]

app = FastAPI()


@app.get("/")
async def hello() -> PlainTextResponse:
    return PlainTextResponse(HELLO)


@app.get("/who")
async def who() -> PlainTextResponse:
    return PlainTextResponse(await whoami())
