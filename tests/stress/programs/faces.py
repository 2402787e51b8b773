"""What threads use: ``plait``, or the modules that stand for threading and queue."""

import sys
import time

import limits
import plait

modules = [plait] if sys.argv[1] == "plait" else [plait.threading, plait.queue]


def make(name, *arguments):
    return next(getattr(module, name) for module in modules if hasattr(module, name))(*arguments)


def until(condition):
    end = time.monotonic() + limits.SECONDS / 2
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.00005)


def parked(primitive, count):
    until(lambda: primitive._waiting == count)
