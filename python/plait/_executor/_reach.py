"""Whether somebody listens at a cluster's address, before its own client is asked to connect, which may try for minutes or wait for ever."""

import math
import socket
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
