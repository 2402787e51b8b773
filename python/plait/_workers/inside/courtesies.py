"""A little knowledge of servers of HTTP that programs use, found by what makes their protocols.

Without it all works too: requests are then counted as connections, and clients that keep idle connections find them closed when the worker ends.
"""

import sys
from typing import Any

_uvicorn: list[Any] = []
_aiohttp: list[Any] = []


def note(protocol_factory: Any) -> None:
    """A server makes its protocols by this."""
    if type(protocol_factory).__module__.startswith("aiohttp.") and hasattr(protocol_factory, "requests_count"):
        _aiohttp.append(protocol_factory)
        return
    for cell in getattr(protocol_factory, "__closure__", None) or ():
        try:
            content = cell.cell_contents
        except ValueError:  # not set yet
            continue
        if type(content).__module__.startswith("uvicorn.") and hasattr(content, "server_state"):
            _uvicorn.append(content)


def requests() -> int:
    """How many there have been. 0: that is not known."""
    return sum(int(server.server_state.total_requests) for server in _uvicorn) + sum(int(server.requests_count) for server in _aiohttp)


def announce() -> None:
    """Have every response from now on say that its connection will be closed."""
    for server in _uvicorn:
        close = (b"connection", b"close")
        server.server_state.default_headers.append(close)
        server.config.encoded_headers.append(close)
    if _aiohttp:
        requests: Any = sys.modules["aiohttp.web_request"]
        requests.BaseRequest.keep_alive = property(lambda _: False)
