"""One body, two loops: what a package does on asyncio's own loop it must do on plait's."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import plait
import pytest

_T = TypeVar("_T")

LOOP_FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "plait": plait.new_event_loop,
}
# A test that hangs is to fail by itself: far above what any of them needs.
PATIENCE = 60.0


@pytest.fixture(params=list(LOOP_FACTORIES))
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return LOOP_FACTORIES[request.param]


@pytest.fixture
def run(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Callable[[Coroutine[Any, Any, _T]], _T]:
    """``asyncio.run`` on one of the loops; what the loop would only log is an error here."""

    def run_and_check(coroutine: Coroutine[Any, Any, _T]) -> _T:
        complaints: list[dict[str, Any]] = []

        async def with_patience() -> _T:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: complaints.append(context))
            return await asyncio.wait_for(coroutine, PATIENCE)

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            result = runner.run(with_patience())
        assert complaints == []
        return result

    return run_and_check
