"""Every test gets two strands, of every ordered pair of kinds. One that hangs fails, with stacks."""

from collections.abc import Iterator

import pytest
from hang_limit import never_hang, terminal
from homes import Company, pairs
from strands import Strand

__all__ = ["company", "first", "never_hang", "pair", "second", "terminal"]


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
