"""The DAG of a pipeline file."""

from tests.factory.conftest import build

__all__ = ["build"]
