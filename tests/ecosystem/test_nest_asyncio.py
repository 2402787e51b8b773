"""nest_asyncio, which takes asyncio's loop apart, on a loop that it cannot take apart.

Two versions, for they differ in what they patch: the one that is installed, and an old one in the directory that
``PLAIT_NEST_ASYNCIO_OLD`` names (``pip install --target build/nest-asyncio-old nest-asyncio==1.5.6``).
"""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
OLD = os.environ.get("PLAIT_NEST_ASYNCIO_OLD", "")


def installed() -> bool:
    try:
        return bool(metadata.version("nest_asyncio"))
    except metadata.PackageNotFoundError:
        return False


VERSIONS = [
    pytest.param("", id="installed", marks=pytest.mark.skipif(not installed(), reason="nest-asyncio is not installed")),
    pytest.param(OLD, id="old", marks=pytest.mark.skipif(not OLD, reason="PLAIT_NEST_ASYNCIO_OLD is not set")),
]


def run(directory: str, *before: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if directory:
        environment["PYTHONPATH"] = os.path.abspath(directory)
    command = [sys.executable, *before, str(PROGRAMS / "nested.py")]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


@pytest.mark.parametrize("directory", VERSIONS)
def test_nested_loops(directory: str) -> None:
    plait = run(directory, "-m", "plait", "run")
    assert (plait.returncode, plait.stderr) == (0, "")
    stock = run(directory)
    assert (stock.returncode, stock.stderr) == (0, "")
    *results, loop = plait.stdout.splitlines()
    *expected, stock_loop = stock.stdout.splitlines()
    assert (loop, stock_loop) == ("plait", "asyncio")
    assert results == expected
    assert results[-1] == "still good"


def test_without_nest_asyncio_loops_do_not_nest() -> None:
    program = (
        "import asyncio, plait\n"
        "async def main():\n"
        "    inner = asyncio.sleep(0)\n"
        "    try: asyncio.get_running_loop().run_until_complete(inner)\n"
        "    except RuntimeError as error: print(error)\n"
        "    inner.close()\n"
        "plait.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "This event loop is already running\n"
