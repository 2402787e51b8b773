"""Ctrl-C and signal handlers while the main thread waits: it ends at once or goes on, and nothing gets lost.

Each in a process of its own (thread_scenes.py), where a wait that does not listen to signals can be killed.
"""

import os
import signal
import subprocess
import sys

import pytest
from thread_sides import LIMIT, SIDES
from thread_stage import HERE, run_scene, side
from thread_waits import WAITS

__all__ = ["side"]

TIMED = [kind for kind in WAITS if WAITS[kind].takes_timeout]


def test_control_c_ends_a_wait_and_leaves_nothing_behind(side):
    run_scene(side, "interrupted", list(WAITS))


def test_control_c_amid_others_who_wait(side):
    run_scene(side, "interrupted_amid_others", list(WAITS))


def test_a_handler_that_does_not_raise_lets_the_wait_go_on(side):
    run_scene(side, "handled", list(WAITS))


def test_signals_do_not_begin_the_time_out_anew(side):
    run_scene(side, "pestered", TIMED)


def test_a_handler_may_wake_the_thread_that_it_runs_in(side):
    run_scene(side, "woken_by_a_handler", list(WAITS))


def test_woken_and_interrupted_at_once(side):
    run_scene(side, "woken_and_interrupted", list(WAITS))


# A barrier does not wake one of those who wait, and the standard library forgets to wake the other.
def test_what_an_interrupted_thread_was_handed_goes_to_the_next():
    kinds = [kind for kind in WAITS if kind != "Barrier.wait"]
    run_scene(SIDES["plait"], "woken_and_interrupted_before_another", kinds)


def test_control_c_after_a_notification_and_before_the_lock_is_free(side):
    run_scene(side, "interrupted_on_the_way_back")


def test_a_timer_signal_with_an_exception_of_ones_own(side):
    run_scene(side, "itimer")


@pytest.mark.parametrize("kind", ["Event.wait", "Condition.wait", "Queue.get", "Queue.join"])
def test_control_c_ends_the_program(side, kind):
    command = [sys.executable, "thread_scenes.py", side.name, "control_c", kind]
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"ready\n", process.stderr.read()
            os.kill(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
    assert errors.endswith(b"\nKeyboardInterrupt\n"), errors
