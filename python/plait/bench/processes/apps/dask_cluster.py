"""A Dask cluster of one worker with one thread: it says where its scheduler is, and runs until its standard input ends."""

import importlib
import sys
from typing import Any

# By its name: for the type checker it is there in some environments only, and in part without types.
distributed: Any = importlib.import_module("distributed")


def main() -> None:
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
