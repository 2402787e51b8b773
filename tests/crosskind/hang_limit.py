"""The last resort against a hang, for tests here and in tests/stress: the process ends, and says where every thread stood.

The tests notice by themselves when a strand or a thread hangs, and fail. This is for a deadlock that holds the interpreter, or the main
thread, where no Python code can notice anything.
"""

import faulthandler
import os
from collections.abc import Iterator
from typing import Any

import pytest

SECONDS = 60


@pytest.fixture(scope="session")
def terminal(pytestconfig: pytest.Config) -> Iterator[int]:
    """A descriptor that pytest does not capture."""
    capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        descriptor = os.dup(2)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(autouse=True)
def never_hang(terminal: int) -> Iterator[None]:
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=terminal)
    yield
    faulthandler.cancel_dump_traceback_later()
