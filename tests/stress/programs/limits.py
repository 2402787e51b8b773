"""A program that hangs shows the stacks of its threads, and ends. To be imported first."""

import faulthandler

SECONDS = 30

faulthandler.dump_traceback_later(SECONDS, exit=True)


def go_on() -> None:
    """For a program that may take longer, but not without getting anywhere: the time begins anew."""
    faulthandler.dump_traceback_later(SECONDS, exit=True)
