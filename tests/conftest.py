"""What holds for all tests."""

import gc

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Many tests collect garbage, to see what is left: let the collector not walk each time through ten thousand tests and their modules."""
    gc.collect()
    gc.freeze()
