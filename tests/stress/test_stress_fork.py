"""Forks while threads wait, and while they work. In programs of their own, since a child is made of all that the process is."""

import pytest
from crowds import THREAD_SIDES, program


@pytest.mark.parametrize("face", THREAD_SIDES)
@pytest.mark.parametrize("name", ["fork_while_waiting", "fork_while_working"])
def test_fork(name, face):
    assert program(name, face) == "done\n"
