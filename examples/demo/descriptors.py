"""Room for many sockets at once.

A shell usually grants 1,024 descriptors, fewer than these programs open. The soft limit is ours to
raise, the hard one is the administrator's: it is left alone even where we would be allowed to change
it, and the caller is told how many descriptors there really are. Rejected: going on until EMFILE,
which makes a full table look like an unanswered connection.
"""

import os
import resource

# Interpreter, loop, pipes, log files and what a library opens behind our back.
SPARE = 64


def make_room(wanted: int) -> int:
    """Raise the soft limit so that `wanted` more descriptors fit; return how many do."""
    in_use = len(os.listdir("/proc/self/fd")) + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = wanted + in_use if hard == resource.RLIM_INFINITY else min(wanted + in_use, hard)
    if soft != resource.RLIM_INFINITY and soft < ceiling:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
        soft = ceiling
    return wanted if soft == resource.RLIM_INFINITY else max(0, min(wanted, soft - in_use))
