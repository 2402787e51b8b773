"""Memory is flat: a million operations, or many thousands where each is a wait, leave nothing behind."""

import sys

import pytest
from crowds import THREAD_SIDES, program

# Ten thousand lost waiters would be more, and so would a million lost bytes.
GENEROUS_KIB = 768
# What the allocator keeps after a queue was long once.
AFTER_A_BURST_KIB = 4 * 1024
# The same on the free-threaded build, whose collector's heap breathes by some MiB: 100,000 lost objects would be more.
WITHOUT_GIL_KIB = 12 * 1024


def allowed(operation):
    if operation.startswith(("burst", "made_and_dropped")) and not getattr(sys, "_is_gil_enabled", lambda: True)():
        return WITHOUT_GIL_KIB
    return AFTER_A_BURST_KIB if operation.startswith("burst") else GENEROUS_KIB


@pytest.mark.parametrize("face", THREAD_SIDES)
@pytest.mark.parametrize("operations", ["without waiting", "waiting", "making"])
def test_memory_is_flat(operations, face):
    growth = {}
    for line in program("memory", face, operations).splitlines():
        operation, kib = line.split(": ")
        growth[operation] = int(kib)
    assert len(growth) >= 5
    for operation, kib in growth.items():
        assert kib <= allowed(operation), operation
