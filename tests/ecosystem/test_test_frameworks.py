"""Test frameworks that make loops for their tests, under ``plait run``: unittest, pytest-asyncio, anyio's pytest plugin."""

import os
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

WITH_UNITTEST = """
import asyncio, contextvars, unittest

variable = contextvars.ContextVar("variable")

class Case(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        variable.set("set up")

    async def asyncSetUp(self):
        self.assertEqual(variable.get(), "set up")
        self.loop = asyncio.get_running_loop()
        self.assertEqual(type(self.loop).__module__.partition(".")[0], "plait")
        self.background = asyncio.create_task(asyncio.Event().wait())
        self.addAsyncCleanup(self.clean)
        await self.enterAsyncContext(asyncio.timeout(3600))

    async def clean(self):
        self.background.cancel()

    async def test_one(self):
        variable.set("in a test")
        self.assertIs(asyncio.get_running_loop(), self.loop)

    async def test_two(self):
        self.assertEqual(variable.get(), "set up")
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0.001))

    @unittest.expectedFailure
    async def test_that_fails(self):
        await asyncio.sleep(0)
        self.fail()

    async def asyncTearDown(self):
        self.assertIs(asyncio.get_running_loop(), self.loop)
"""

WITH_PYTEST_ASYNCIO = """
import asyncio, pytest, pytest_asyncio

def is_plait(loop):
    return type(loop).__module__.partition(".")[0] == "plait"

@pytest_asyncio.fixture
async def resource():
    await asyncio.sleep(0)
    yield asyncio.get_running_loop()
    await asyncio.sleep(0)

@pytest.mark.asyncio
async def test_fixture_and_test_share_a_loop(resource):
    assert asyncio.get_running_loop() is resource
    assert is_plait(resource)

@pytest.mark.asyncio
@pytest.mark.xfail(raises=LookupError, strict=True)
async def test_that_fails():
    await asyncio.sleep(0)
    raise LookupError

@pytest.mark.asyncio(loop_scope="module")
class TestWiderLoop:
    loop = None

    async def test_first(self):
        TestWiderLoop.loop = asyncio.get_running_loop()
        assert is_plait(self.loop)

    async def test_second(self):
        assert asyncio.get_running_loop() is self.loop
"""

WITH_ANYIO = """
import anyio, asyncio, pytest, plait

@pytest.fixture(params=[{}, {"loop_factory": plait.new_event_loop}], ids=["of the policy", "named"])
def anyio_backend(request):
    return "asyncio", request.param

@pytest.fixture
async def group():
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()

@pytest.mark.anyio
async def test_loop(group):
    group.start_soon(anyio.sleep_forever)
    await anyio.sleep(0)
    assert type(asyncio.get_running_loop()) is plait.EventLoop
"""


def run_under_plait(tmp_path: Path, source: str, *command: str) -> str:
    """What the framework wrote, having found its tests to be good."""
    (tmp_path / "test_on_plait.py").write_text(source, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PLAIT_"))}
    done = subprocess.run(
        [sys.executable, "-m", "plait", "run", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_unittest(tmp_path: Path) -> None:
    said = run_under_plait(tmp_path, WITH_UNITTEST, "-m", "unittest", "-v", "test_on_plait")
    assert "Ran 3 tests" in said
    assert "OK (expected failures=1)" in said


@pytest.mark.skipif(util.find_spec("pytest_asyncio") is None, reason="pytest-asyncio is not installed")
def test_pytest_asyncio(tmp_path: Path) -> None:
    said = run_under_plait(tmp_path, WITH_PYTEST_ASYNCIO, "-m", "pytest", "-p", "no:cacheprovider", "-W", "default")
    assert "3 passed, 1 xfailed" in said


@pytest.mark.skipif(util.find_spec("anyio") is None, reason="anyio is not installed")
def test_anyio(tmp_path: Path) -> None:
    said = run_under_plait(tmp_path, WITH_ANYIO, "-m", "pytest", "-p", "no:cacheprovider")
    assert "2 passed" in said
