"""fork while threads wait, and the interpreter's end while threads wait: each in a process of its own."""

from thread_stage import run_scene, side
from thread_waits import WAITS

__all__ = ["side"]


def test_fork_while_threads_wait(side):
    run_scene(side, "forked", list(WAITS))


def test_fork_while_another_thread_holds_the_lock(side):
    run_scene(side, "forked_while_held")


def test_a_thread_forks_while_it_holds_the_lock_itself(side):
    run_scene(side, "forked_by_a_thread")


def test_logging_threads_and_executors_in_children(side):
    run_scene(side, "children_at_work")


def test_daemon_threads_that_wait_do_not_keep_the_interpreter(side):
    run_scene(side, "exits")


def test_threads_that_are_no_daemons_end_in_order(side):
    run_scene(side, "exits_in_order")
