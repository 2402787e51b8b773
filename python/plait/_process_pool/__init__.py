"""``ProcessPoolExecutor``: worker processes that make calls, lose nothing, and can be ended.

* ``_executor`` is the class that programs use; ``_options`` what is said per call, ``_map`` its map, ``_progress`` the bar;
* ``_core`` is the pool behind it: what waits, who works, what comes back; ``_dispatch`` says who gets what, ``_burial`` what a worker's death means, ``_ending`` how calls and
  the pool are ended, ``_helper`` is its thread, ``_task`` and ``_workers`` what it keeps of calls and of workers;
* ``_worker_main`` is what runs in a worker;
* ``_pickling`` says how objects cross, ``_blame`` which of them could not, ``_messages`` what the two sides say to each other;
* ``_errors`` and ``_stats`` are what users get to see.

Messages travel by ``plait._native`` (``crates/plait-py/src/processes``), which also keeps the memory in which arrays cross.
"""

from plait._process_pool._errors import NotLoaded as NotLoaded
from plait._process_pool._errors import TaskKilled as TaskKilled
from plait._process_pool._errors import WorkerDied as WorkerDied
from plait._process_pool._executor import ProcessPoolExecutor as ProcessPoolExecutor
from plait._process_pool._stats import PoolStats as PoolStats
from plait._process_pool._stats import WorkerStats as WorkerStats
