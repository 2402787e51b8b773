"""The same with FastAPI under uvicorn."""

import asyncio
import os
import sys

import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

application = FastAPI()


@application.get("/")
async def pid(slow: float = 0) -> PlainTextResponse:
    await asyncio.sleep(slow)
    return PlainTextResponse(str(os.getpid()))


if __name__ == "__main__":
    uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[1]), loop="none", log_level="warning")
