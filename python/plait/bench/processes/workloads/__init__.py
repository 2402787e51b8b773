"""What is measured. This is the contents page: one room per group of the table.

A workload knows nothing of which loop it runs on. The loop is made elsewhere, in a process of its own, so
the same lines of Python run on every peer and nothing here can favour one of them. `asyncio.sleep`, `queue.Queue` and the
like are looked up when they are called, as most programs do. (`bridges` alone has to know whose queue it is.)

The bodies do as little as they can beside the call that is measured, because what they do themselves costs
every loop the same and brings the ratios nearer to one.
"""

from . import (
    bridges,
    children,
    clusters,
    datagrams,
    engines,
    executors,
    files,
    http,
    memory,
    network,
    pools,
    process_queues,
    queues,
    scheduling,
    starting,
    streams,
    synchronisation,
    tasks,
    threads,
    tls,
    transfers,
    waiting,
    workers,
)
from .bridges import Bridge
from .clusters import OnClusters
from .datagrams import Flood
from .engines import OnEngines
from .files import OnFiles
from .http import Http, OnServer
from .measuring import InProcess, Measurement, OnLoop, OnThreads, Workload
from .network import LEAST_REQUESTS, Churn, Echo, Idle, Load, Network
from .pools import OnPools
from .process_queues import BetweenProcesses
from .transfers import Transfer
from .workers import OnWorkers

__all__ = [
    "GROUPS",
    "IN_PROCESS",
    "LEAST_REQUESTS",
    "NETWORK",
    "WORKLOADS",
    "BetweenProcesses",
    "Bridge",
    "Churn",
    "Echo",
    "Flood",
    "Http",
    "Idle",
    "InProcess",
    "Load",
    "Measurement",
    "Network",
    "OnClusters",
    "OnEngines",
    "OnFiles",
    "OnLoop",
    "OnPools",
    "OnServer",
    "OnThreads",
    "OnWorkers",
    "Transfer",
    "Workload",
]

GROUPS = (
    "scheduling",
    "tasks",
    "waiting",
    "synchronisation",
    "threads",
    "executors",
    "pools",
    "engines",
    "processes",
    "bridges",
    "streams",
    "network",
    "tls",
    "udp",
    "transfers",
    "subprocesses",
    "files",
    "http",
    "workers",
    "memory",
)
_ROOMS = (
    *(scheduling, tasks, waiting, synchronisation, threads, queues, executors, pools, clusters, engines, process_queues, bridges, streams),
    *(network, tls, datagrams, transfers, children, starting, files, http, workers, memory),
)

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for room in _ROOMS
    for workload in room.WORKLOADS
}
# In the order of the table, wherever they are written.
WORKLOADS = {
    name: workload for group in GROUPS for name, workload in WORKLOADS.items() if workload.group == group
}
IN_PROCESS = {name: workload for name, workload in WORKLOADS.items() if isinstance(workload, InProcess)}
NETWORK = {name: workload for name, workload in WORKLOADS.items() if isinstance(workload, Network)}
