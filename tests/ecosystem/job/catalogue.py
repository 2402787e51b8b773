"""What is run: one program for each package, or for a set of packages that are used together."""

from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"

# The three sides, as the table's columns call them. See programs/stage.py.
SIDES = {"plait-run": "`plait run`", "plait-loop": "plait's loop", "asyncio": "asyncio"}


@dataclass(frozen=True)
class Program:
    file: str
    distributions: tuple[str, ...]  # the first one names the row
    servers: frozenset[str] = frozenset()
    # A tool that makes its loops where no factory can be handed in has no side "plait-loop".
    sides: tuple[str, ...] = tuple(SIDES)
    seconds: float = field(default=150.0)
    # What the program imports beside: without it the row is left out, not failed.
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.file.removesuffix(".py").removeprefix("with_")

    @property
    def title(self) -> str:
        return ", ".join(self.distributions)

    def versions(self) -> str:
        return ", ".join(metadata.version(name) for name in self.distributions)

    def missing(self) -> list[str]:
        return [name for name in self.distributions + self.needs if not _installed(name)]


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


POSTGRES, REDIS = frozenset({"postgres"}), frozenset({"redis"})
BY_ITSELF = ("plait-run", "asyncio")

CATALOGUE = (
    Program("with_asyncpg.py", ("asyncpg",), POSTGRES),
    Program("with_psycopg.py", ("psycopg", "psycopg-pool"), POSTGRES),
    Program("with_sqlalchemy.py", ("SQLAlchemy", "asyncpg"), POSTGRES),
    Program("with_redis.py", ("redis",), REDIS),
    Program("with_aiohttp.py", ("aiohttp",)),
    Program("with_httpx.py", ("httpx",), needs=("starlette", "uvicorn")),
    Program("with_uvicorn.py", ("uvicorn", "fastapi", "websockets")),
    Program("with_hypercorn.py", ("hypercorn", "h2", "httpx"), needs=("websockets",)),
    Program("with_gunicorn.py", ("gunicorn", "uvicorn", "uvicorn-worker")),
    Program("with_django.py", ("django", "uvicorn")),
    Program("with_websockets.py", ("websockets",)),
    Program("with_aiofiles.py", ("aiofiles",)),
    Program("with_anyio.py", ("anyio",)),
    Program("with_grpc.py", ("grpcio",)),
    Program("with_distributed.py", ("distributed",)),
    Program("with_ipython.py", ("ipython",), sides=BY_ITSELF),
    Program("with_jupyter.py", ("ipykernel", "jupyter_client"), sides=BY_ITSELF),
    Program("with_recipes.py", ("nbclient",), sides=("plait-loop",), needs=("uvicorn", "gunicorn", "uvicorn-worker", "hypercorn", "django", "ipykernel", "pytest-asyncio")),
    Program("with_pytest_asyncio.py", ("pytest-asyncio",), needs=("pytest",)),
)
