"""A plain `start_server`: a line is answered with the worker's process id. `slow N` takes N seconds for it. Knows nothing of workers."""

import asyncio
import os
import sys


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        words = line.split()
        if words[:1] == [b"GET"]:
            await answer_http(reader, writer)
            break
        if words[:1] == [b"slow"]:
            await asyncio.sleep(float(words[1]))
        writer.write(b"%d\n" % os.getpid())
        await writer.drain()
    writer.close()


async def answer_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = b"%d" % os.getpid()
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()


async def main() -> None:
    server = await asyncio.start_server(handle, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
