"""The start method "zygote": processes that are forked, in milliseconds, from a process which has imported the program's modules and does nothing else.

A fork of the program itself is quick too, but it copies a program with threads in the middle of their work. A spawned interpreter is clean, and pays for its imports each time. The
zygote is clean, since it never runs anything but imports, and has paid once.

`client.py` is the program's side: it starts the zygote when the first process is, asks it for more, and knows when not to. `popen.py` is one process as the program sees it.
`server.py` is the zygote, `worker.py` what becomes of one of its forks.

What holds:

- One program, one zygote, joined by a socket pair that has no name. A fork of the program forgets the zygote, and starts its own if it needs one.
- The zygote has one thread. One with more does not fork, and says so: then processes start by spawn.
- A process is told to the program with a pidfd, which cannot come to mean another process. How it ended is read from a socket that the zygote writes to.
- The zygote watches its program by a pidfd, so that neither kill -9 nor a forked child that holds on to the socket is overlooked. With the program its processes end.

Rejected: to extend the standard fork server. Its processes reach it by a socket in the file system and share it, it watches none of them by pidfd, it inherits what its first client
had (environment, directory, standard streams) and it forks whether or not there are threads. Rejected: the parent's death by PDEATHSIG, which comes when the *thread* ends that
started the zygote.
"""

from collections.abc import Callable
from multiprocessing.popen_fork import Popen as _AnyPopen
from multiprocessing.process import BaseProcess


class _Method(str):
    """The start method's name. It crosses to children as all start methods do, and makes itself known there before it is used."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Callable[[], str], tuple[()]]:
        return _known, ()


def _known() -> str:
    import plait.multiprocessing.context  # has the standard library know of the method

    assert plait.multiprocessing.context
    return METHOD


METHOD = _Method("zygote")


def start(process: BaseProcess) -> _AnyPopen:
    """Start a process: out of the zygote, or by spawn if that cannot fork safely."""
    from plait.multiprocessing._zygote.client import client

    return client.start(process)


def set_preload(module_names: object) -> None:
    """See ``set_zygote_preload``."""
    from plait.multiprocessing._zygote.client import client

    client.set_preload(module_names)
