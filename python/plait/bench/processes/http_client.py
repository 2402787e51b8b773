"""The load client for HTTP: it learns how long a page is, and then has the client of Rust ask for it.

A page of fixed length that is always the same is told apart from a wrong one by its first line and its length. So that is looked at
closely once, here, and then counted there. Rejected: wrk and its kin, which are not installed everywhere, measure for a time rather
than a number of requests, and do not read the server's CPU clock.
"""

import socket
from collections.abc import Callable
from typing import Any

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
OK = b"HTTP/1.1 200 "
TIMEOUT = 30.0


def load(client: Callable[..., dict[str, Any]], body: bytes, *, host: str, port: int, **order: Any) -> dict[str, Any]:
    """`client` is the client of Rust; `body` is what the page should be."""
    with socket.create_connection((host, port), TIMEOUT) as connection:
        sizes = {_page(connection, body) for _ in range(3)}
    if len(sizes) > 1:
        raise RuntimeError(f"the answers differ in length: {sizes}")
    return client(host, port, size=sizes.pop(), request=REQUEST, beginning=OK, **order)


def _page(connection: socket.socket, body: bytes) -> int:
    connection.sendall(REQUEST)
    page = b""
    while not page.endswith(b"\r\n\r\n" + body):
        piece = connection.recv(65536)
        if not piece:
            raise RuntimeError(f"the server closed the connection after {page[:200]!r}")
        page += piece
        if not page.startswith(OK[: len(page)]):
            raise RuntimeError(f"the server answered {page[:200]!r}")
    return len(page)
