"""What can be said about workers, and what cannot."""

import asyncio
import threading
from typing import Any

import pytest
from supervised import supervised

import plait
from plait._workers._settings import Settings


async def nothing() -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"workers": 0}, "workers must be between 1 and 1024"),
        ({"workers": 1025}, "workers must be between 1 and 1024"),
        ({"sharing": "both"}, "sharing must be one of 'inherit', 'reuseport', not 'both'"),
        ({"deadline": -1}, "deadline must be a number of seconds >= 0"),
        ({"linger": float("nan")}, "linger must be a number of seconds >= 0"),
        ({"start_timeout": 0}, "start_timeout must be a number of seconds > 0"),
        ({"liveness": float("inf")}, "liveness must be a number of seconds > 0"),
        ({"max_requests": 0}, "max_requests must be > 0"),
        ({"max_memory": -5}, "max_memory must be > 0"),
        ({"jitter": 1.5}, "jitter must be between 0 and 1"),
    ],
)
def test_settings_out_of_their_range_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings(**{"workers": 2, **wrong})
    with pytest.raises(ValueError, match=words):
        plait.run(nothing, **{"workers": 2, **wrong})


@pytest.mark.parametrize("number", [2.0, True, "2"])
def test_the_number_of_workers_is_an_integer(number: Any) -> None:
    with pytest.raises(TypeError, match="workers must be an integer"):
        plait.run(nothing, workers=number)


def test_a_coroutine_cannot_be_run_by_several() -> None:
    wrong: Any = nothing()
    with pytest.raises(TypeError, match="must be a function that returns a coroutine"):
        plait.run(wrong, workers=2)


def test_workers_are_for_the_main_thread() -> None:
    caught: list[BaseException] = []

    def attempt() -> None:
        try:
            plait.run(nothing, workers=1)
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert "main thread only" in str(caught[0])


def test_here_is_no_worker() -> None:
    import plait.workers

    assert plait.workers.number() is None
    assert not plait.workers.draining()
    plait.workers.ready()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["--workers", "0", "x.py"], "workers must be between 1 and 1024"),
        (["--workers", "two", "x.py"], "'two' is no value for --workers"),
        (["--workers"], "argument expected for the --workers option"),
        (["--linger=1", "x.py"], "these options need --workers"),
        (["--workers=2", "-m"], "argument expected for the -m option"),
        (["--workers=2", "--nothing"], "unknown option --nothing"),
        (["--workers=2"], "a script, -m module or -c code is needed"),
        (["--workers=2", "-"], "cannot come from standard input"),
        (["--workers=2", "nowhere.py"], "can't open file"),
    ],
)
def test_a_command_line_that_is_wrong_is_told(line: list[str], words: str) -> None:
    with supervised(*line) as program:
        assert program.exit_status() == 2
        assert words in program.said()
