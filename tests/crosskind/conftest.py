"""Every test gets two strands, of every ordered pair of kinds. One that hangs fails, with stacks."""

import faulthandler
import os
from collections.abc import Iterator
from typing import Any

import pytest
from homes import Company, pairs
from strands import LIMIT, Strand

# The tests notice by themselves when a strand hangs. This is for a deadlock that holds the interpreter: the process ends, with stacks.
NOTHING_RUNS_ANY_MORE = 6 * LIMIT


@pytest.fixture(scope="session")
def terminal(pytestconfig: pytest.Config) -> Iterator[int]:
    """A descriptor that pytest does not capture."""
    capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        descriptor = os.dup(2)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(autouse=True)
def never_hang(terminal: int) -> Iterator[None]:
    faulthandler.dump_traceback_later(NOTHING_RUNS_ANY_MORE, exit=True, file=terminal)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def company() -> Iterator[Company]:
    """Makes further strands."""
    company = Company()
    yield company
    company.disperse()


@pytest.fixture(params=pairs(), ids="-".join)
def pair(request: pytest.FixtureRequest, company: Company) -> tuple[Strand, Strand]:
    first, second = request.param
    return company.strand(first), company.strand(second)


@pytest.fixture
def first(pair: tuple[Strand, Strand]) -> Strand:
    return pair[0]


@pytest.fixture
def second(pair: tuple[Strand, Strand]) -> Strand:
    return pair[1]
