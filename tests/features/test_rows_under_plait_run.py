"""The rows on threads, queues and executors again, in a process where ``plait run`` put plait in place before anything else was imported.

In the files themselves "installed" means ``plait.install()`` in a process that imported its modules before. Here the very same tests, with the
standard library's spelling, are the unmodified program: ``plait run -m pytest``. Rejected: each row as a program of its own, which takes ten
times as long; rows that need a process to themselves are programs anyway.
"""

import subprocess
from pathlib import Path

import programs
import pytest

HERE = Path(__file__).parent
SECTIONS = [
    "test_rows_1_threads.py",
    "test_rows_2_thread_class.py",
    "test_rows_3_locks.py",
    "test_rows_4_queue.py",
    "test_rows_5_gil.py",
    "test_rows_7_executors.py",
]


@pytest.fixture(autouse=True)
def never_hang():
    """The run has its own limits: each of its tests, and the process as a whole."""


def test_the_rows_under_plait_run():
    files = [str(HERE / section) for section in SECTIONS]
    command = [*programs.COMMAND, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-k", "installed", "--rootdir", str(HERE), *files]
    environment = {**programs.environment(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    for section in SECTIONS:
        assert f"{section}::test_{section.split('_')[2]}_the_implementation_that_runs[installed] PASSED" in done.stdout
