"""Whether somebody listens at a cluster's address, before its own client is asked to connect, which may try for minutes or wait for ever."""

import math
import socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from plait._executor._errors import ClusterUnreachable


def check_timeout(timeout: float) -> None:
    """Refuse what is no time."""
    if not timeout > 0 or math.isinf(timeout):
        raise ValueError("connect_timeout must be a number of seconds, more than 0")


def reach(address: str, timeout: float, who: str) -> None:
    """Connect once.

    Raises:
        ClusterUnreachable: nobody is there.
    """
    url = urlsplit(f"//{address}")
    try:
        socket.create_connection((url.hostname or "", url.port or 0), timeout).close()
    except TimeoutError as error:
        raise ClusterUnreachable(f"no {who} answered at {address} within {timeout:g} seconds") from error
    except OSError as error:
        raise ClusterUnreachable(f"no {who} is to be reached at {address}: {error}") from error


def connected(connect: Callable[[], Any], undo: Callable[[Any], object], address: str, timeout: float, who: str) -> Any:
    """What `connect` returns, in time. It is called by a thread of its own, which is left to it when the time is up, for clients wait for ever for a server that takes connections and says nothing;
    should it come to something yet, that is undone.

    Raises:
        ClusterUnreachable: the time is up. And whatever `connect` raises.
    """
    lock = threading.Lock()
    came: list[tuple[Any, BaseException | None]] = []
    given_up = False

    def work() -> None:
        result, error = None, None
        try:
            result = connect()
        except BaseException as raised:
            error = raised
        with lock:
            came.append((result, error))
            is_late = given_up
        if is_late and error is None:
            undo(result)

    thread = threading.Thread(target=work, name="plait-executor-connect", daemon=True)
    thread.start()
    thread.join(timeout)
    with lock:
        given_up = not came
    if given_up:
        raise ClusterUnreachable(f"no {who} answered at {address} within {timeout:g} seconds")
    result, error = came[0]
    if error is not None:
        raise error
    return result
