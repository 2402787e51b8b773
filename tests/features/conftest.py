"""Rows of the feature list: the standard library's spelling under ``plait.install()``, and plait's own mirror."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import plait
import pytest
from plait import asyncio as mirror

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance"))

from loop_fixtures import never_hang  # noqa: E402

__all__ = ["never_hang"]


@pytest.fixture(params=["installed", "mirror"])
def aio(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """``asyncio`` as a program has it: the standard module after an install, or ``from plait import asyncio``."""
    if request.param == "mirror":
        yield mirror
        return
    plait.install()
    try:
        yield asyncio
    finally:
        plait.uninstall()
