"""The load client for TLS: blocking sockets and the `ssl` module, one thread, the same for every server.

Each connection has one message under way, and they are served in turn. Nothing of it is judged: the figure is the server's CPU
time, by its own clock. Rejected: TLS in the client of Rust, which would bring a second implementation of it (and its
native code) into the package for the benchmark alone.

Contents are compared before the load and after it, lengths under load, as in the client of Rust.
"""

import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

TIMEOUT = 30.0
PERIOD = 251


def load(
    cpu_ns: Callable[[int], int],
    context: ssl.SSLContext,
    *,
    host: str,
    port: int,
    connections: int,
    size: int,
    warm_up: int,
    requests: int,
    server_pid: int,
) -> dict[str, Any]:
    """`cpu_ns` reads the CPU clock of a process by its id."""
    clients = [_Client(context, host, port, size, number) for number in range(connections)]
    for client in clients:
        client.check()
    _round(clients, warm_up)
    server, own, wall = cpu_ns(server_pid), time.thread_time_ns(), time.perf_counter_ns()
    latencies = _round(clients, requests)
    wall, own, server = time.perf_counter_ns() - wall, time.thread_time_ns() - own, cpu_ns(server_pid) - server
    for client in clients:
        client.check()
    for client in clients:
        client.socket.close()
    latencies.sort()
    percentiles = {f"p{percent}_ns": latencies[(len(latencies) - 1) * percent // 100] for percent in (50, 90, 99)}
    costs = {"wall_ns": wall, "server_cpu_ns": server, "client_cpu_ns": own}
    return {"requests": requests, **costs, **percentiles, "max_ns": latencies[-1]}


def _round(clients: "list[_Client]", requests: int) -> list[int]:
    """So many requests; returns how long each took."""
    begun = min(requests, len(clients))
    for client in clients[:begun]:
        client.send()
    latencies: list[int] = []
    while len(latencies) < requests:
        for client in clients:
            if client.began is None:
                continue
            latencies.append(client.receive())
            if begun < requests:
                begun += 1
                client.send()
    return latencies


class _Client:
    """One connection."""

    def __init__(self, context: ssl.SSLContext, host: str, port: int, size: int, number: int) -> None:
        plain = socket.create_connection((host, port), TIMEOUT)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname=host)
        # Each another, so that a neighbour's reply is noticed.
        self.message = bytes((number + place) % PERIOD for place in range(size))
        self.reply = memoryview(bytearray(size))
        self.began: int | None = None

    def send(self) -> None:
        self.began = time.perf_counter_ns()
        self.socket.sendall(self.message)

    def receive(self) -> int:
        """The whole reply; how long it took since its request was sent."""
        assert self.began is not None
        received = 0
        while received < len(self.reply):
            count = self.socket.recv_into(self.reply[received:])
            if not count:
                raise ConnectionAbortedError("closed by the server")
            received += count
        took, self.began = time.perf_counter_ns() - self.began, None
        return took

    def check(self) -> None:
        self.reply[:] = bytes(len(self.reply))
        self.send()
        self.receive()
        if self.reply != self.message:
            raise OSError("other bytes came back than were sent")
