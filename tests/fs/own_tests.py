"""aiofiles' own tests, from its source distribution, with plait.fs in aiofiles' place (``make aiofiles-tests``).

The archive is fetched by pip, and only its tests are used: the package ``aiofiles`` that they import is the one in ``shim``. They run on each
engine, under ``plait run``. What is left out has its reason here.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LEFT_OUT = {
    "tests/threadpool/test_concurrency.py::test_slow_file": "it replaces a function inside aiofiles by a slow one, and counts what is done meanwhile",
}
if os.geteuid() == 0:
    LEFT_OUT["tests/test_os.py::test_access"] = "root may access everything"


def fetch(directory: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "aiofiles", "aiofiles", "-d", directory]
    subprocess.run(pip, check=True)
    (archive,) = directory.glob("aiofiles-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(directory, filter="data")
    return archive.with_name(archive.name.removesuffix(".tar.gz"))


def play(suite: Path, engine: str, at_once: str) -> int:
    environment = {**os.environ, "PYTHONPATH": str(HERE / "shim"), "PLAIT_FS_ENGINE": engine, "PLAIT_FS_AT_ONCE": at_once}
    check = "import aiofiles, plait.fs; assert aiofiles.open is plait.fs.open"
    subprocess.run([sys.executable, "-c", check], env=environment, check=True)
    deselected = [f"--deselect={name}" for name in LEFT_OUT]
    command = [sys.executable, "-m", "plait", "run", "-m", "pytest", "-q", "-p", "no:cacheprovider", *deselected, "tests"]
    return subprocess.run(command, cwd=suite, env=environment).returncode


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        suite = fetch(Path(directory))
        return max(play(suite, *chosen) for chosen in (("auto", "1"), ("threads", "0")))


if __name__ == "__main__":
    sys.exit(main())
