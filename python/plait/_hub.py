"""A hub: an event loop for the greenlets of one thread, in a greenlet of its own.

Where a greenlet would block its thread, it switches to the hub instead, and the hub switches back when what it waits for is there. The hub's loop is an ordinary
plait loop, so tasks and greenlets of a thread run side by side, one at a time. Needs the package ``greenlet``.

Which calls switch: all that wait in plait's wait queue, that is plait's own primitives and, installed, those of ``threading`` and ``queue``.
In the thread's main greenlet they block as ever, and so they do in the hub: nobody else could run it.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any

import greenlet  # type: ignore[import-untyped, unused-ignore]

from plait._loop import new_event_loop
from plait._native import EventLoop, set_hub


class Hub:
    """Runs greenlets in the calling thread.

    Attributes:
        loop: the event loop; tasks made on it run while the hub runs.
        greenlet: the greenlet in which it runs.

    For the thread that makes it; only a blocked greenlet may be woken from others. Counterpart: gevent's hub.
    """

    loop: EventLoop

    def __init__(self) -> None:
        self.loop = new_event_loop()
        self.greenlet: Any = greenlet.greenlet(self._serve)
        self._alive: set[Any] = set()
        self._failure: BaseException | None = None
        self._before = set_hub(self)

    def __enter__(self) -> "Hub":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def spawn(self, function: Callable[..., object], *args: Any) -> Any:
        """Make a greenlet that calls ``function(*args)``, from the hub's next turn on.

        Returns:
            The greenlet. What the function raises is raised by `run`; ``GreenletExit`` ends it quietly.
        """

        def body() -> None:
            try:
                function(*args)
            except greenlet.GreenletExit:
                pass
            except BaseException as error:
                self._failure = self._failure or error
            finally:
                self._alive.discard(made)
                if not self._alive or self._failure:
                    self.loop.stop()

        made = greenlet.greenlet(body, self.greenlet)
        self._alive.add(made)
        self.loop.call_soon(made.switch)
        return made

    def run(self) -> None:
        """Run until all greenlets that were spawned are dead, or one has failed.

        Raises:
            BaseException: what a greenlet raised, and what the loop did (KeyboardInterrupt).
        """
        if self._alive:
            self.greenlet.switch()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def park(self, future: Any, timeout: float | None) -> bool:
        """Let others run until ``future`` is done, for at most ``timeout`` seconds. For the calling greenlet.

        Returns:
            Whether the future is done.
        """
        here = greenlet.getcurrent()

        parked = True

        def wake(*_: object) -> None:
            # The timer and the future may be due in the same turn: who is second must not end a later wait.
            if parked:
                here.switch()

        timer = None if timeout is None else self.loop.call_later(timeout, wake)
        future.add_done_callback(wake)
        try:
            self.greenlet.switch()
        finally:
            parked = False
            future.remove_done_callback(wake)
            if timer is not None:
                timer.cancel()
        return future.done()  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the greenlets that are left, with ``GreenletExit``, and close the loop. To close it twice is to close it once."""
        for left in list(self._alive):
            left.throw(greenlet.GreenletExit)
        set_hub(self._before)
        self.loop.close()

    def _serve(self) -> None:
        while True:
            try:
                self.loop.run_forever()
            except BaseException as error:
                self._failure = self._failure or error
            self.greenlet.parent.switch()
