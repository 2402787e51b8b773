"""What can be said about workers."""

import dataclasses
import math

SHARINGS = ("inherit", "reuseport")
# More than any machine has use for, and as many as fit into the shared memory, with their successors.
MOST_WORKERS = 1024


@dataclasses.dataclass(frozen=True)
class Settings:
    """See ``plait.run``, whose arguments these are. Times are in seconds."""

    workers: int
    sharing: str = "inherit"
    deadline: float = 30.0
    linger: float = 1.0
    start_timeout: float = 60.0
    liveness: float | None = 30.0
    max_requests: int | None = None
    max_memory: int | None = None
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.workers, bool) or not isinstance(self.workers, int):
            raise TypeError("workers must be an integer")
        if not 1 <= self.workers <= MOST_WORKERS:
            raise ValueError(f"workers must be between 1 and {MOST_WORKERS}")
        if self.sharing not in SHARINGS:
            raise ValueError(f"sharing must be one of {', '.join(map(repr, SHARINGS))}, not {self.sharing!r}")
        for name in ("deadline", "linger"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number of seconds >= 0")
        for name in ("start_timeout", "liveness"):
            seconds = getattr(self, name)
            if seconds is not None and not 0 < seconds < math.inf:
                raise ValueError(f"{name} must be a number of seconds > 0")
        for name in ("max_requests", "max_memory"):
            limit = getattr(self, name)
            if limit is not None and limit < 1:
                raise ValueError(f"{name} must be > 0")
        if not 0 <= self.jitter <= 1:
            raise ValueError("jitter must be between 0 and 1")

    @property
    def beat(self) -> float:
        """How often a worker's loop is to give a sign of life, in seconds."""
        return 1.0 if self.liveness is None else min(1.0, self.liveness / 4)
