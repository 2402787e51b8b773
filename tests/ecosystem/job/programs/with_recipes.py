"""The recipes of docs/recipes.md, taken from the page: its files are written and its commands are run, word for word but for the port.

So a recipe that no longer works fails here, not at its reader's. ``pip install`` lines are left out (the job has installed what they name), and
the kernel is installed below this directory instead of into the environment. Which loop ran is asked at the end of each; there is nothing to
compare with on asyncio, since every line of a recipe names plait.
"""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
from pathlib import Path
from signal import SIGINT, SIGTERM

import load
import stage
from stage import check

PAGE = Path(__file__).parents[4] / "docs" / "recipes.md"
OURS = "<class 'plait.EventLoop'>"
# The page's commands are those of the environment that this runs in.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
TELLS_ITS_LOOP = """
_hello = app
async def app(scope, receive, send):
    import asyncio
    if scope["type"] == "http":
        print("loop:", type(asyncio.get_running_loop()), flush=True)
    await _hello(scope, receive, send)
"""


class Recipe:
    """A section of the page: its text, and its blocks by their language."""

    def __init__(self, title: str) -> None:
        text = PAGE.read_text("utf-8")
        sections = {section.partition("\n")[0].strip(): section for section in re.split(r"^## ", text, flags=re.M)}
        self.text = next(section for name, section in sections.items() if name.startswith(title))
        self._blocks = re.findall(r"^```(\w+)\n(.*?)^```", self.text, flags=re.M | re.S)

    def blocks(self, language: str) -> list[str]:
        return [block for name, block in self._blocks if name == language]

    def commands(self) -> list[str]:
        lines = [line.removeprefix("$ ") for block in self.blocks("console") for line in block.splitlines()]
        return [line for line in lines if not line.startswith("pip install")]

    def command(self, *words: str) -> str:
        """The only command with these words in it."""
        found = [line for line in self.commands() if all(word in line for word in words)]
        assert len(found) == 1, f"{words} in {self.commands()}"
        return found[0]


def write_hello() -> None:
    Path("hello.py").write_text(Recipe("#").blocks("python")[0] + TELLS_ITS_LOOP)


def with_free_port(words: str) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return words.replace("8000", str(listener.getsockname()[1]))


def first_answer(url: str) -> bytes:
    """uvicorn's parent of workers announces the address that its children listen at later, and none of them tells when."""
    given_up = time.monotonic() + load.PATIENCE
    while True:
        try:
            return load.get(url)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > given_up:
                raise
        time.sleep(0.05)


def serves(command: str) -> None:
    """The server answers as hello.py does, on plait's loop, and ends at SIGTERM."""
    with load.serving(shlex.split(with_free_port(command))) as served:
        assert first_answer(served.url) == b"hello\n"
        for _ in range(4):
            assert load.get(served.url) == b"hello\n"
        assert served.said_times(f"loop: {OURS}", 5), "".join(served.said)
        assert "".join(served.said).count("loop: ") == 5  # and on no other
        assert served.end(SIGTERM) in (0, -SIGTERM), "".join(served.said)


@check
def uvicorn() -> None:
    write_hello()
    recipe = Recipe("uvicorn")
    alone, under_run = recipe.command("uvicorn hello:app --loop plait:new_event_loop"), recipe.command("plait run", "--loop none")
    assert "`--workers 2`" in recipe.text
    for command in (alone, under_run, f"{alone} --workers 2", f"{under_run} --workers 2"):
        serves(command)
    call = re.search(r"`(uvicorn\.run\(app, loop=.*?)\)`", recipe.text)
    assert call is not None
    Path("program.py").write_text(f"import uvicorn\nfrom hello import app\n{call[1]}, port={with_free_port('8000')})\n")
    serves("python program.py")


@check
def gunicorn() -> None:
    write_hello()
    recipe = Recipe("gunicorn")
    Path("worker.py").write_text(recipe.blocks("python")[0])
    serves(recipe.command("gunicorn hello:app"))


@check
def hypercorn() -> None:
    write_hello()
    recipe = Recipe("hypercorn")
    serves(recipe.command("plait run -m hypercorn"))
    Path("program.py").write_text(with_free_port(recipe.blocks("python")[0]))
    serves("python program.py")


VIEW = """
import asyncio
from django.http import HttpResponse
from django.urls import path

async def loop(request):
    return HttpResponse(str(type(asyncio.get_running_loop())))

urlpatterns = [path("loop", loop)]
"""


@check
def django() -> None:
    recipe = Recipe("Django")
    start, move = recipe.command("django-admin startproject").split(" && ")
    subprocess.run(shlex.split(start), check=True, timeout=stage.PATIENCE)
    before = os.getcwd()
    os.chdir(move.removeprefix("cd "))
    try:
        subprocess.run(shlex.split(recipe.command("migrate")), check=True, timeout=stage.PATIENCE)
        Path("mysite/urls.py").write_text(VIEW)
        for command, number in ((recipe.command("uvicorn mysite.asgi"), SIGTERM), (recipe.command("runserver"), SIGINT)):
            with load.serving(shlex.split(with_free_port(command))) as served:
                assert load.get(served.url.rstrip("/") + "/loop") == OURS.encode(), "".join(served.said)
                served.end(number)
    finally:
        os.chdir(before)


@check
def jupyter() -> None:
    recipe = Recipe("Jupyter")
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        os.environ[name] = os.path.abspath(name.lower())
    os.environ["JUPYTER_PATH"] = os.path.abspath("prefix/share/jupyter")
    Path("plait-kernel").mkdir()
    Path("plait-kernel/kernel.json").write_text(recipe.blocks("json")[0])
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "id": "one"}
    cell["source"] = "import asyncio\nawait asyncio.sleep(0)\nprint(type(asyncio.get_running_loop()))"
    Path("nb.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    install, execute = recipe.command("kernelspec install"), recipe.command("jupyter execute")
    for command in (install.replace("--sys-prefix", "--prefix prefix"), execute):
        subprocess.run(shlex.split(command), check=True, timeout=stage.PATIENCE)
    outputs = json.loads(Path("nb.ipynb").read_text())["cells"][0]["outputs"]
    assert "".join(outputs[0]["text"]) == f"{OURS}\n", outputs


TEST = f"""
import asyncio, pytest

@pytest.mark.asyncio
async def test_loop():
    assert str(type(asyncio.get_running_loop())) == "{OURS}"
"""


@check
def pytest_asyncio() -> None:
    recipe = Recipe("pytest-asyncio")
    assert "`plait run -m pytest`" in recipe.text
    for name, command, conftest in (("hook", recipe.commands()[-1], recipe.blocks("python")[0]), ("run", "plait run -m pytest", "")):
        place = Path("tests-by", name)
        place.mkdir(parents=True)
        (place / "conftest.py").write_text(conftest)
        (place / "test_loop.py").write_text(TEST)
        (place / "pytest.ini").write_text("[pytest]\n")
        done = subprocess.run(shlex.split(command), cwd=place, capture_output=True, text=True, timeout=stage.PATIENCE)
        assert done.returncode == 0 and " 1 passed" in f" {done.stdout}", done.stdout + done.stderr


if __name__ == "__main__":
    stage.go()
