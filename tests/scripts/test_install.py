"""`make install` says what is missing and how to get it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing set up."""
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/install", "uv.lock", "pyproject.toml", "Makefile"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    return tmp_path


def _install(checkout: Path, python: str, **env: str) -> str:
    """What a failing `make install` prints."""
    done = subprocess.run(
        ["make", "install"],
        cwd=checkout,
        env={"PATH": os.environ["PATH"], "HOME": str(checkout), "PYTHON": python, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    return done.stderr


def _python(folder: Path, script: str) -> str:
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


def test_an_old_python_is_named(checkout: Path) -> None:
    said = _install(checkout, _python(checkout, "echo Python 3.9.2; exit 1"))
    assert "no suitable Python: 3.10 to 3.13 is needed, but" in said
    assert "is Python 3.9.2." in said
    assert "make install PYTHON=" in said


def test_a_missing_python_is_named(checkout: Path) -> None:
    assert "no suitable Python" in _install(checkout, "/nowhere/python3")


def test_a_missing_venv_module_is_named_with_its_package(checkout: Path) -> None:
    crippled = f'case "$*" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"'
    said = _install(checkout, _python(checkout, crippled))
    assert "has no venv module" in said
    assert f"apt-get install python{sys.version_info.major}.{sys.version_info.minor}-venv" in said


def test_pypi_out_of_reach_is_named(checkout: Path) -> None:
    nobody = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    said = _install(checkout, sys.executable, **nobody)
    assert "could not be had from PyPI" in said
    assert "export HTTPS_PROXY=" in said
    assert not (checkout / ".venv" / ".installed").exists()
