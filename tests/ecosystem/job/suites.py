"""Which packages' own test suites are run, and how each wants to be called.

Only what its source distribution carries can be run: psycopg's, websockets' and distributed's carry no tests, and are told as left out, which
is why they stand here. A suite's own settings (pyproject.toml, pytest.ini) hold, but for what is said here.
"""

from dataclasses import dataclass

from catalogue import POSTGRES, REDIS


@dataclass(frozen=True)
class Suite:
    package: str
    # What pytest is called with. {POSTGRES_HOST}, {POSTGRES_PORT} and {REDIS} stand for the job's own servers.
    arguments: tuple[str, ...] = ("tests",)
    environment: tuple[tuple[str, str], ...] = ()
    servers: frozenset[str] = frozenset()
    # Distributions without which its tests cannot be collected, beside the package and what it installs by itself.
    needs: tuple[str, ...] = ()
    # Where it is not the suite's own plugin, pytest-asyncio warns of its settings, and warnings are errors in most suites.
    pytest_asyncio: bool = False
    # For each side. A suite that is not through by then counts with the tests that it ran, and as unfinished.
    seconds: float = 900.0


SUITES = (
    # With Trio and uvloop under it nothing of anyio's is plait's.
    Suite("anyio", ("tests", "-k", "not trio and not uvloop"), needs=("pytest-mock", "trio", "uvloop", "trustme", "hypothesis", "blockbuster")),
    Suite("uvicorn", ("tests", "--ignore=tests/benchmarks"), needs=("pytest-mock", "trustme", "a2wsgi", "wsproto", "httpx2")),
    Suite("httpx", needs=("trustme", "trio", "chardet")),
    Suite(
        "aiohttp",
        # Coverage and the doctests of its settings are left out, and the benchmarks, which measure and find nothing.
        ("tests", "-o", "addopts=", "-m", "not dev_mode and not autobahn and not internal", "--ignore-glob=tests/test_benchmarks_*", "--ignore=tests/autobahn"),
        (("ECOSYSTEM_FREEZES", "1"),),
        needs=("pytest-mock", "pytest-cov", "trustme", "proxy.py", "freezegun", "blockbuster", "isal", "zlib-ng"),
    ),
    Suite("aiofiles", pytest_asyncio=True),
    Suite("pytest-asyncio", needs=("hypothesis",), pytest_asyncio=True),
    Suite(
        "asyncpg",
        # By itself it makes a cluster of its own, which PostgreSQL refuses to root; with PGHOST it uses the one that runs.
        ("tests", "--ignore=tests/test__sourcecode.py", "--ignore=tests/test__environment.py"),
        (("PGHOST", "{POSTGRES_HOST}"), ("PGPORT", "{POSTGRES_PORT}"), ("PGUSER", "plait"), ("PGDATABASE", "postgres")),
        POSTGRES,
        ("distro",),
    ),
    Suite(
        "redis",
        # What is not asyncio has no loop to run on; modules and clusters are other servers than the job's.
        # Search and vector sets are modules of other servers', Entra ID is a service, and the scenarios want one that breaks networks.
        (
            "tests/test_asyncio", "--ignore=tests/test_asyncio/test_scenario", "--ignore=tests/test_asyncio/test_credentials.py",
            "--ignore=tests/test_asyncio/test_search.py", "--ignore=tests/test_asyncio/test_vsets.py",
            "--redis-url=redis://{REDIS}/0", "-m", "not redismod and not onlycluster and not ssl and not cp_integration",
        ),  # fmt: skip
        servers=REDIS,
        needs=("pybreaker",),
        pytest_asyncio=True,
    ),
    Suite("psycopg"),
    Suite("websockets"),
    Suite("distributed"),
)
