"""``plait.Cluster``: coroutines on the loops of several processes.

It is a pool of processes (``plait._process_pool``) whose workers have a loop each and make many calls at once.

* ``_cluster`` is the class that programs use, ``_results`` what its ``map`` gives;
* ``_core`` is the pool behind it: how many calls a worker has at once, and how one is cancelled;
* ``_worker_main`` is what runs in a worker.

Rejected: a loop of the pool's own in the parent, beside the program's; a queue of multiprocessing for each worker, as aiomultiprocess has it, which is asked for work again and again.
"""

from plait._cluster._cluster import Cluster as Cluster
