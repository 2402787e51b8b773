"""Queues: defects that were found once, each with the test that fails when it comes back."""

import queue
import threading

import plait.queue
import pytest

INSIDES = ("mutex", "not_empty", "not_full", "all_tasks_done", "queue")


@pytest.mark.parametrize("inside", INSIDES)
@pytest.mark.parametrize("name", ["Queue", "LifoQueue", "PriorityQueue"])
def test_two_look_into_a_queue_at_once(monkeypatch, name, inside):
    """Who looked while another thread opened the queue was told that there was no such attribute."""
    looked = []

    def slowly(self, maxsize):
        second.start()
        second.join(0.05)  # it waits until this is through, and so it cannot be joined
        getattr(queue, name)._init(self, maxsize)

    q = getattr(plait.queue, name)()
    monkeypatch.setattr(vars(getattr(plait.queue, name))["_init"], "_function", slowly)
    first, second = (threading.Thread(target=lambda: looked.append(getattr(q, inside, None))) for _ in range(2))
    first.start()
    first.join()
    second.join()
    assert looked[0] is looked[1] is vars(q)[inside]
