"""Workers that share one listening socket are kept even: one that has more connections than another leaves the next ones to that.

The kernel wakes all that sleep, and who is first takes the connection. Mostly that is fair; but where connections live long and come one by one, it is always the same worker, and it would
keep them. So a worker that is ahead does not look at the socket for a moment. It looks again even if the others have not come for what waits there: they may be stuck.
"""

from collections.abc import Callable
from typing import Any

from plait._workers.inside.control import Control

# A worker may have so many connections more than another, and an eighth of its own.
_SLACK = 2
_PAUSE = 0.005


class Balance:
    """For the loop's thread."""

    def __init__(self, control: Control, resume: Callable[[], None], pause: Callable[[], None]) -> None:
        self._control = control
        self._resume = resume
        self._pause = pause
        self._paused = False

    def look(self, loop: Any, connections: int) -> None:
        """After a connection was accepted, which makes so many."""
        if self._paused or connections <= _SLACK:
            return
        fewest = self._control.fewest_elsewhere()
        if fewest is not None and connections > fewest + _SLACK + connections // 8:
            self._paused = True
            self._pause()
            loop.call_later(_PAUSE, self._again)

    def _again(self) -> None:
        self._paused = False
        self._resume()
