"""Clusters for the tests; and nothing of them is left when a test is over."""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_tasks import until

# Workers that are started afresh find the module of tasks where the tests do.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No child of ours, and no descriptor of a link."""
    yield

    def links() -> list[str]:
        found = []
        for name in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{name}")
            except FileNotFoundError:
                continue
            if "plait-link" in target:
                found.append(target)
        return found

    until(lambda: not links())
    assert not multiprocessing.active_children()
