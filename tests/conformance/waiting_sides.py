"""The sides on which the tests of `wait`, `timeout` and their relatives are played.

Besides stock asyncio and plait there is a third: plait's functions on the stock loop, where they have to go through its methods.
"""

import asyncio
from types import SimpleNamespace

import plait
import pytest

NAMES = ("wait", "wait_for", "timeout", "timeout_at", "shield", "as_completed", "TaskGroup", "sleep", "gather")


def functions_of(module):
    return SimpleNamespace(**{name: getattr(module, name) for name in NAMES})


SIDES = {
    "stock": (asyncio.SelectorEventLoop, functions_of(asyncio)),
    "plait": (plait.new_event_loop, functions_of(plait.asyncio)),
    "plait's on the stock loop": (asyncio.SelectorEventLoop, functions_of(plait.asyncio)),
}

FAR_AWAY = 3600


@pytest.fixture(params=SIDES)
def side(request):
    return SIDES[request.param]


@pytest.fixture
def factory(side):
    return side[0]


@pytest.fixture
def f(side):
    """The functions, by their names."""
    return side[1]


async def give(value):
    return value


async def fail(error):
    raise error


async def forever():
    await asyncio.get_running_loop().create_future()


class Awaits:
    """An awaitable that is neither a coroutine nor a future."""

    def __init__(self, coroutine):
        self.coroutine = coroutine

    def __await__(self):
        return self.coroutine.__await__()


def python_future(loop):
    return asyncio.futures._PyFuture(loop=loop)


def timers(loop):
    return [timer for timer in loop._scheduled if not timer.cancelled()]
