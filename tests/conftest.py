"""What holds for all tests."""

import faulthandler
import gc
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

# In seconds. Nothing takes a tenth of it, on a machine that others use too.
HUNG_AFTER = 300

# A shell leaves SIGINT ignored in what it starts in the background. Programs that are started here, and interrupted, would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without-stock", action="store_true", help="leave out the runs on the standard library, which judge the tests themselves")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--without-stock"):
        stock = [item for item in items if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "stock" in item.callspec.id.split("-")]
        config.hook.pytest_deselected(items=stock)
        left_out = set(stock)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Many tests collect garbage, to see what is left: let the collector not walk each time through ten thousand tests and their modules."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A hang becomes a failure of this test, and the others go on. Many have a shorter limit of their own, and some end the whole run: where no signal gets through."""
    if signal.getitimer(signal.ITIMER_REAL)[0]:
        return (yield)
    before = signal.signal(signal.SIGALRM, _hung)
    signal.setitimer(signal.ITIMER_REAL, HUNG_AFTER)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _hung(*_: object) -> None:
    faulthandler.dump_traceback()
    pytest.fail(f"still running after {HUNG_AFTER} seconds")


@pytest.fixture(autouse=True, scope="module")
def no_helper_of_multiprocessing_stays():
    """Helper processes of multiprocessing live as long as the program. Tests that look for children of theirs would find them."""
    yield
    # A process that lives on holds the end of a pipe that a helper watches: then it is let be.
    stopping = threading.Thread(target=_stop_helpers, daemon=True)
    stopping.start()
    stopping.join(10)


def _stop_helpers() -> None:
    for module, helper, stop in (
        ("plait.multiprocessing._zygote.client", "client", "stop"),
        ("multiprocessing.forkserver", "_forkserver", "_stop"),
        ("multiprocessing.resource_tracker", "_resource_tracker", "_stop"),
    ):
        if module in sys.modules:
            getattr(getattr(sys.modules[module], helper), stop)()
