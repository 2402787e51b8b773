"""What holds for all tests."""

import gc
import signal

import pytest

# A shell leaves SIGINT ignored in what it starts in the background. Programs that are started here, and interrupted, would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Many tests collect garbage, to see what is left: let the collector not walk each time through ten thousand tests and their modules."""
    gc.collect()
    gc.freeze()
