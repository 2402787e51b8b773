"""Where strands live: a thread with a loop, a thread with a hub. And the company of a test: its strands and their homes."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import plait
import strands
from strands import LIMIT, GreenletStrand, Hung, Strand, TaskStrand, ThreadStrand

try:
    import greenlet  # noqa: F401
except ImportError:
    HAS_GREENLETS = False
else:
    HAS_GREENLETS = True

# kind of strand: its class, and the home it shares with the others that name it
KINDS: dict[str, tuple[type[Strand], str | None]] = {
    "thread": (ThreadStrand, None),
    "task": (TaskStrand, "loop"),
    "other_task": (TaskStrand, "other loop"),
    "stock_task": (TaskStrand, "stock loop"),
    "greenlet": (GreenletStrand, "hub"),
    "hub_task": (TaskStrand, "hub"),
    "other_greenlet": (GreenletStrand, "other hub"),
}
EACH_WITH_EACH = ["thread", "task", "other_task", "stock_task", "greenlet"]
BESIDE_GREENLETS = [("greenlet", "hub_task"), ("hub_task", "greenlet"), ("greenlet", "other_greenlet")]


def pairs() -> list[tuple[str, str]]:
    """Every ordered pair, each kind with itself too; without the greenlets where the package is not installed."""
    every = [(first, second) for first in EACH_WITH_EACH for second in EACH_WITH_EACH] + BESIDE_GREENLETS
    return [pair for pair in every if HAS_GREENLETS or not any("greenlet" in kind for kind in pair)]


class Home:
    """A thread that runs a loop until it is told to leave."""

    loop: Any

    def __init__(self, name: str) -> None:
        self.error: BaseException | None = None
        self._open = threading.Event()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()
        if not self._open.wait(LIMIT) or self.error is not None:
            raise Hung(f"{name} did not open: {self.error!r}")

    def _run(self) -> None:
        try:
            self._live()
        except BaseException as error:
            self.error = error
        finally:
            self._open.set()

    def leave(self) -> None:
        self._leave()
        self.thread.join(LIMIT)
        if self.thread.is_alive():
            raise Hung(f"{self.thread.name} did not close")
        if self.error is not None:
            raise self.error


class LoopHome(Home):
    def __init__(self, name: str, factory: Callable[[], Any]) -> None:
        self._factory = factory
        super().__init__(name)

    def _live(self) -> None:
        with asyncio.Runner(loop_factory=self._factory) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._leaving = asyncio.Event()
        self._open.set()
        await self._leaving.wait()

    def _leave(self) -> None:
        self.loop.call_soon_threadsafe(self._leaving.set)


class HubHome(Home):
    """Its first greenlet waits, so that the hub runs until it is told to stop."""

    def _live(self) -> None:
        from plait._hub import Hub

        self._leaving = plait.Event()
        with Hub() as self.hub:
            self.loop = self.hub.loop
            self.hub.spawn(self._open.set)
            self.hub.spawn(self._leaving.wait)
            self.hub.run()

    def _leave(self) -> None:
        self._leaving.set()


class Company:
    """The strands of one test. At the end none may be waiting still, and no home may have failed."""

    def __init__(self) -> None:
        self._homes: dict[str, Any] = {}
        self._strands: list[Strand] = []
        strands._of_this_test.clear()

    def strand(self, kind: str) -> Strand:
        number = len(self._strands)
        make, home = KINDS[kind]
        if home is None:
            made = make(f"{number} {kind}", number)
        else:
            place = self._home(home)
            made = make(f"{number} {kind}", number, place.hub if make is GreenletStrand else place.loop)
        self._strands.append(made)
        return made

    def _home(self, name: str) -> Any:
        if name not in self._homes:
            if name.endswith("hub"):
                self._homes[name] = HubHome(name)
            else:
                self._homes[name] = LoopHome(name, asyncio.SelectorEventLoop if name == "stock loop" else plait.new_event_loop)
        return self._homes[name]

    def disperse(self) -> None:
        busy = [strand for strand in self._strands if not strand.idle()]
        for strand in self._strands:
            strand.end()
        if busy:
            raise Hung(f"left waiting: {', '.join(strand.name for strand in busy)}")
        for strand in self._strands:
            if isinstance(strand, ThreadStrand):
                strand.thread.join(LIMIT)
        for home in self._homes.values():
            home.leave()
        strands._of_this_test.clear()
