"""Workers that share one listening socket are kept even: one that has more connections than another leaves the next ones to that.

The kernel wakes all that sleep, and who is first takes the connection. Under load that is fair; but where connections live long and come one by one, it may always be the same worker, and it
would keep them. So a worker that is ahead does not look at the socket for a moment. It looks again even if the others have not come for what waits there: they may be stuck.

What counts most is how many connections stay: the fewest that there were within a while. Those that come and go say little about who is ahead, and a worker that paused for them would waste
time. So their number counts too, but it may differ by more; that keeps the workers even where many clients come at once.
"""

import time
from collections.abc import Callable
from typing import Any

from plait._workers.inside.control import Control

# A worker may have so many connections more than another, and an eighth of its own: of those that stay, and of all.
_SLACK = 2
_SLACK_OF_ALL = 8
# In seconds.
_PAUSE = 0.002
_WHILE = 0.02


class Balance:
    """For the main thread's loop. (Servers on loops in other threads accept as they can.)"""

    def __init__(self, control: Control, resume: Callable[[Any], None], pause: Callable[[Any], None]) -> None:
        self._control = control
        self._resume = resume
        self._pause = pause
        self._paused = False
        self._since = 0.0
        self._fewest = 0  # since then
        self._staying = 0  # the fewest in the while before that

    def gone(self, connections: int) -> None:
        """A connection has gone, which leaves so many."""
        if connections < self._fewest:
            self._fewest = connections
            if connections < self._staying:
                self._tell(connections)

    def came(self, loop: Any, connections: int) -> None:
        """A connection was accepted, which makes so many."""
        now = time.monotonic()
        if now - self._since > _WHILE:
            self._tell(min(self._fewest, connections - 1))
            self._fewest = connections
            self._since = now
        staying = self._staying
        if self._paused or (staying <= _SLACK and connections <= _SLACK_OF_ALL):
            return
        fewest = self._control.fewest_elsewhere()
        if fewest is None:
            return
        if connections > fewest[0] + _SLACK_OF_ALL + connections // 8 or staying > fewest[1] + _SLACK + staying // 8:
            self._paused = True
            self._pause(loop)
            loop.call_later(_PAUSE, self._again, loop)

    def _tell(self, staying: int) -> None:
        self._staying = staying
        self._control.note_staying(staying)

    def _again(self, loop: Any) -> None:
        self._paused = False
        self._resume(loop)
