"""Hundreds of interrupts of a main thread that waits, as when somebody leans on Ctrl-C. In programs of their own, since a handler
may run anywhere."""

import pytest
from crowds import THREAD_SIDES, program

STORMS = {
    "locks": ["Lock", "Semaphore", "Event", "Condition", "Barrier"],
    "getting": ["Queue", "LifoQueue", "PriorityQueue"],
    "putting": ["full Queue", "full LifoQueue", "full PriorityQueue"],
    "helpful": ["helpful: Semaphore", "helpful: Queue", "helpful: Event"],
}


@pytest.mark.parametrize("face", THREAD_SIDES)
@pytest.mark.parametrize("storm", STORMS)
def test_a_storm(face, storm):
    """The program names those that it got through."""
    kinds = [kind for kind in STORMS[storm] if face == "plait" or kind != "Lock"]
    assert program("storm", face, *kinds).splitlines() == kinds
