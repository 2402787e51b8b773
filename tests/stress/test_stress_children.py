"""Ten thousand short-lived children leave no descriptor, no thread and no zombie behind (programs/children.py).

PLAIT_STRESS_CHILDREN says how many, if not ten thousand: a child takes a millisecond, most of it the kernel's.
"""

import os

import pytest
from crowds import program

NUMBER = int(os.environ.get("PLAIT_STRESS_CHILDREN", "10000"))


@pytest.mark.parametrize(("how", "share"), [("pidfds", 1), ("without-pidfds", 10)])
def test_children_leave_nothing_behind(how, share):
    number = NUMBER // share
    assert program("children", str(number), how).startswith(f"{number} ")
