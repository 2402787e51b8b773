"""Which packages the engines need, and what is skipped where they are not."""

import importlib.util

import pytest

PACKAGES = {"dask": "distributed", "ray": "ray"}


def needs(engine: str) -> None:
    """Skip, unless the engine is installed."""
    package = PACKAGES.get(engine)
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"the package {package} is not installed (make test-python installs Dask where it can be had, make cluster-tests Ray)")
