"""The event loop policy whose loops are plait's.

It inherits the default policy and changes the loop factory only, so which thread gets a loop by itself, what is
warned about and how children are watched stay the host Python's. From 3.14 the public names of policies warn on
access; the private base is the same class without the warning.
"""

import asyncio
import sys

from plait._native import EventLoop

if sys.version_info >= (3, 14):
    from asyncio.unix_events import _DefaultEventLoopPolicy as _Base
else:
    _Base = asyncio.DefaultEventLoopPolicy


class EventLoopPolicy(_Base):
    """asyncio's default policy, making plait loops.

    For ``asyncio.set_event_loop_policy(plait.EventLoopPolicy())``. Only the main thread gets a loop without asking,
    and only up to Python 3.13; in another thread ``get_event_loop`` raises RuntimeError until ``set_event_loop``
    was called there. Safe to use from any thread. ``plait.install()`` sets one of these.

    Counterpart: ``asyncio.DefaultEventLoopPolicy``.
    """

    _loop_factory = EventLoop
