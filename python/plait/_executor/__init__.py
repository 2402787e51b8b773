"""``plait.executor``: one interface over threads, processes, Dask and Ray.

* ``_spec`` reads "dask://host:port" and finds the engine; ``_interface`` is what all executors have, ``_errors`` what they cannot;
* ``_threads`` and ``_processes`` are plait's own pools with what the others have, too;
* ``_cluster`` is the executor over an engine of somebody else's, ``_calls`` what is kept of its calls, ``_engine`` what an engine must do;
* ``_dask`` and ``_ray`` are those engines, with ``_dask_cluster`` and ``_ray_session`` for how they are found, and started, and ``_dask_ending`` for whether calls can be ended;
* ``_worker`` runs in a cluster's workers, ``_parcels`` says how calls get there;
* ``_context`` carries context variables, ``_stored`` is an argument that lies in the engine's store.

An engine's scheduler and its store do the work: nothing here decides where a call is made. An engine is imported when an executor over it is made.
"""

from plait._executor._spec import executor as executor
