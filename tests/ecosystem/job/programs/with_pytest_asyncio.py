"""pytest-asyncio, with the loop named by its hook ``pytest_asyncio_loop_factories``, or by nothing under ``plait run``."""

import os
import re
import subprocess
from pathlib import Path

import stage
from stage import check

CONFTEST = """
def pytest_asyncio_loop_factories(config, item):
    import {module}
    return {{"{name}": {factory}}}
"""
HOOKS = {"asyncio": ("asyncio", "asyncio.SelectorEventLoop"), "plait-loop": ("plait", "plait.new_event_loop")}

HERE = """
import asyncio, pytest, pytest_asyncio

def here():
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]
"""
SUITE = (
    HERE
    + """
@pytest_asyncio.fixture
async def server():
    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
        writer.close()
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()

@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared():
    yield asyncio.get_running_loop()
    await asyncio.sleep(0)

@pytest.mark.asyncio
async def test_loop():
    assert here() == "LOOP"

@pytest.mark.asyncio
async def test_server(server):
    reader, writer = await asyncio.open_connection(*server)
    writer.write(b"hello\\n")
    assert await reader.readline() == b"HELLO\\n"
    writer.close()
    await writer.wait_closed()

@pytest.mark.asyncio
@pytest.mark.parametrize("number", range(20))
async def test_parametrized(number):
    assert await asyncio.gather(*(asyncio.sleep(0, n) for n in range(number))) == list(range(number))

@pytest.mark.asyncio(loop_scope="module")
async def test_shared(shared):
    assert asyncio.get_running_loop() is shared and here() == "LOOP"

@pytest.mark.asyncio(loop_scope="class")
class TestClass:
    async def test_first(self):
        TestClass.loop = asyncio.get_running_loop()
        TestClass.task = asyncio.create_task(asyncio.sleep(0, "done"))

    async def test_second(self):
        assert asyncio.get_running_loop() is TestClass.loop
        assert await TestClass.task == "done"

@pytest.mark.asyncio
async def test_task_that_is_left():
    asyncio.create_task(asyncio.Event().wait())
"""
)
FAILING = (
    HERE
    + """
@pytest.mark.asyncio
async def test_fails():
    assert here() == "LOOP"
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
        raise LookupError

@pytest.mark.asyncio
async def test_times_out():
    async with asyncio.timeout(0.01):
        await asyncio.Event().wait()

@pytest_asyncio.fixture
async def broken():
    await asyncio.sleep(0)
    raise KeyError

@pytest.mark.asyncio
async def test_error(broken):
    pass

@pytest.mark.asyncio
async def test_passes():
    pass
"""
)


def outcome(suite: str, *options: str) -> tuple[dict[str, int], str]:
    """How many of which outcome, by pytest's last line."""
    place = Path(f"suite{len(list(Path().glob('suite*')))}")
    place.mkdir()
    (place / "test_suite.py").write_text(suite.replace('"LOOP"', repr(stage.LOOP)))
    if stage.SIDE in HOOKS:
        module, factory = HOOKS[stage.SIDE]
        (place / "conftest.py").write_text(CONFTEST.format(module=module, name=module, factory=factory))
    (place / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    command = [*stage.python("-m", "pytest"), "-p", "no:cacheprovider", "--color=no", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=place, env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""})
    said = done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
    return {kind: int(count) for count, kind in re.findall(r"(\d+) (passed|failed|errors?|warnings?)", last)}, said


@check
def fixtures_scopes_and_parameters() -> None:
    counts, said = outcome(SUITE, "-W", "error")
    assert counts == {"passed": 26}, said


@check
def failures_are_failures() -> None:
    counts, said = outcome(FAILING)
    assert counts == {"failed": 2, "error": 1, "passed": 1}, said
    assert "LookupError" in said and "TimeoutError" in said and "KeyError" in said


@check
def auto_mode_and_debug() -> None:
    suite = SUITE.replace("@pytest.mark.asyncio\n", "").replace("@pytest_asyncio.fixture\n", "@pytest.fixture\n")
    counts, said = outcome(suite, "-o", "asyncio_mode=auto", "-o", "asyncio_debug=true")
    assert counts.get("passed") == 26 and "failed" not in counts, said


if __name__ == "__main__":
    stage.go()
