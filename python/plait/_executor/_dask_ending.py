"""Which Dask workers can be ended with a call: those that make no other meanwhile, and are started again."""

from typing import Any


def why_calls_cannot_be_ended(workers: dict[str, Any]) -> str | None:
    for address, worker in workers.items():
        if worker["nthreads"] != 1:
            return (
                f"a call is ended with its worker, and the Dask worker {address} has {worker['nthreads']} threads, which make other calls: "
                'start the workers with one (dask worker --nthreads 1), or use executor("dask") or executor("processes")'
            )
        if not worker.get("nanny"):
            return f"a call is ended with its worker, and the Dask worker {address} has no nanny that would start it again: start the workers with one (dask worker --nanny)"
    return None
