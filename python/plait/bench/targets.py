"""What plait owes its users: per workload, the largest share of the best peer's figure that it may cost.

A share is plait's median divided by the median of the best peer of the same run, whichever peer that is:
1.0 is as good as the best, 0.5 is half the time (or half the memory). Shares are kept rather than
nanoseconds, since a figure says more about the machine than about the loop, and the best peer rather than asyncio,
since it is easy to be faster than asyncio.

The aim is where the work on it should end; nobody fails for missing it. Targets hold for the column `plait`, what
`plait run` gives. A workload that is not named here is measured and shown but never judged.
"""

from dataclasses import dataclass

from .processes.workloads import WORKLOADS


@dataclass(frozen=True)
class Target:
    share: float
    aim: float | None = None


_BY_NAME = {
    "call_soon": Target(0.9),
    "call_later_cancel": Target(0.9),
    "call_soon_threadsafe": Target(0.9),
    "create_task_await": Target(0.6),
    "sleep0": Target(0.75, aim=0.5),
    "gather": Target(0.6, aim=0.35),
    "sleeps": Target(0.6, aim=0.35),
    "wait_for": Target(0.5, aim=0.3),
    "timeout": Target(0.5, aim=0.3),
    "wait": Target(0.5, aim=0.3),
    "task_group": Target(0.5, aim=0.3),
    "asyncio_queue": Target(0.5, aim=0.38),
    "asyncio_lock": Target(0.6, aim=0.5),
    "asyncio_semaphore": Target(0.4, aim=0.25),
    "asyncio_event": Target(0.6, aim=0.4),
    "threading_semaphore": Target(0.2, aim=0.1),
    "threading_event": Target(0.5, aim=0.25),
    "threading_condition": Target(0.5, aim=0.25),
    "queue": Target(0.2, aim=0.12),
    "queue_priority": Target(0.4, aim=0.25),
    "queue_producer_consumer": Target(0.4, aim=0.15),
    "process_queue": Target(0.4, aim=0.15),
    "process_queue_tuples": Target(0.4, aim=0.15),
    "executor_map": Target(0.25, aim=0.12),
    "executor_round_trip": Target(0.5, aim=0.2),
    "run_in_executor": Target(0.5, aim=0.2),
    "pool_round_trip": Target(0.35, aim=0.15),
    "pool_map": Target(0.5, aim=0.2),
    "cluster_map": Target(0.3, aim=0.15),
    "executor_dask": Target(1.1, aim=0.8),
    "executor_dask_many": Target(1.1, aim=0.8),
    "executor_ray": Target(1.1, aim=1.0),
    "executor_ray_many": Target(1.1, aim=1.0),
    "pool_array_first": Target(0.3, aim=0.2),
    "pool_array": Target(0.12, aim=0.08),
    "pool_array_result_first": Target(0.3, aim=0.2),
    "pool_array_result": Target(0.12, aim=0.08),
    "readline": Target(0.4, aim=0.2),
    "readuntil": Target(0.4, aim=0.2),
    "readexactly": Target(0.4, aim=0.2),
    "udp_echo_1k_8": Target(0.9, aim=0.7),
    "udp_flood": Target(0.7, aim=0.4),
    "spawn_true": Target(0.8, aim=0.6),
    "process_start": Target(0.2, aim=0.05),
    "unix_echo_1k_8": Target(0.95, aim=0.85),
    "connections": Target(0.85, aim=0.65),
    "sendfile": Target(0.9, aim=0.7),
    "stream_drain": Target(0.9, aim=0.7),
    "uvicorn_hello": Target(0.95, aim=0.8),
    "aiohttp_server": Target(0.95, aim=0.8),
    "aiohttp_client": Target(0.95, aim=0.8),
    "workers_aiohttp": Target(1.1, aim=1.0),
    "workers_fastapi": Target(1.1, aim=1.0),
    "workers_servers": Target(0.95, aim=0.8),
    "small_files": Target(0.2, aim=0.08),
    "large_file_reads": Target(0.2, aim=0.1),
    "sleeping_tasks": Target(0.8),
    "idle_connection": Target(0.9, aim=0.6),
}
_BY_PREFIX = {
    "echo_protocol_": Target(0.97, aim=0.9),
    "echo_streams_": Target(0.75, aim=0.65),
    "echo_sock_": Target(0.8, aim=0.65),
    "tls_": Target(0.9, aim=0.7),
    "bridge_": Target(0.5, aim=0.3),
}
TARGETS = _BY_NAME | {
    name: target for prefix, target in _BY_PREFIX.items() for name in WORKLOADS if name.startswith(prefix)
}
