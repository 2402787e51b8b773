"""A program that hangs shows the stacks of its threads, and ends. To be imported first."""

import faulthandler

SECONDS = 30

faulthandler.dump_traceback_later(SECONDS, exit=True)
