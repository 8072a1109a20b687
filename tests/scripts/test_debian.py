"""`scripts/debian` installs Postgres and Chromium where it can, and never fails."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "debian"
APT = """#!/bin/bash
echo "$*" >>{log}
case " $* " in *" update "*) exit {update};; esac
(($(grep -c " install " {log}) > {failures})) && exit
echo "E: Unable to locate package ${{@: -1}}" >&2
exit 100
"""

Run = Callable[..., tuple[str, list[str]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the script where Postgres and apt are what the test says; gives what it prints and what apt was told.

    `failures` is how often apt cannot install the package, `update` the exit code of `apt-get update`.
    """
    tools, log = tmp_path / "bin", tmp_path / "apt.log"
    tools.mkdir()
    for tool in ("bash", "grep", "mkdir", "timeout"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    text = SCRIPT.read_text().replace("EUID", "USER_ID")
    script = text.replace("/usr/lib/postgresql", f"{tmp_path}/lib").replace("/etc/postgresql-common", f"{tmp_path}/etc")

    def start(
        package: str = "postgresql", *, failures: int | None = 0, update: int = 0, user: int = 0
    ) -> tuple[str, list[str]]:
        if failures is not None:
            (tools / "apt-get").write_text(APT.format(log=log, update=update, failures=failures))
            (tools / "apt-get").chmod(0o755)
        done = subprocess.run(
            ["bash", "-c", script, "debian", package],
            env={"PATH": str(tools), "USER_ID": str(user)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "")
        lines = log.read_text().splitlines() if log.exists() else []
        return done.stderr, [word for line in lines for word in line.split() if word in ("install", "update")]

    return start


def test_what_is_there_is_left_alone(run: Run, tmp_path: Path) -> None:
    program = tmp_path / "lib" / "15" / "bin" / "initdb"
    program.parent.mkdir(parents=True)
    program.touch()
    (tmp_path / "bin" / "chromium").write_text("#!/bin/bash")
    (tmp_path / "bin" / "chromium").chmod(0o755)
    assert run() == ("", [])
    assert run("chromium") == ("", [])


@pytest.mark.parametrize("where", [{"user": 1000}, {"failures": None}], ids=["not root", "no apt"])
def test_where_it_cannot_install_it_is_silent(run: Run, where: dict[str, int | None]) -> None:
    assert run(**where) == ("", [])


@pytest.mark.parametrize(
    ("failures", "update", "told"),
    [
        pytest.param(0, 0, ["install"], id="lists are there"),
        pytest.param(1, 0, ["install", "update", "install"], id="lists are old"),
        pytest.param(1, 100, ["install", "update", "install"], id="one repository of many is broken"),
    ],
)
def test_it_installs_without_a_cluster_of_its_own(
    run: Run, tmp_path: Path, failures: int, update: int, told: list[str]
) -> None:
    said, asked = run(failures=failures, update=update)
    assert asked == told
    assert said == "Installing Postgres for the tests of databases …\n"
    (setting,) = (tmp_path / "etc" / "createcluster.d").iterdir()
    assert (setting.suffix, setting.read_text()) == (".conf", "create_main_cluster = false\n")


@pytest.mark.parametrize(
    ("package", "told"),
    [
        ("postgresql", "Postgres cannot be installed, so the tests of databases will be skipped."),
        ("chromium", "Chromium cannot be installed, so the tests in a browser will be skipped."),
    ],
)
def test_a_failure_is_told_with_its_reason(run: Run, package: str, told: str) -> None:
    said, _ = run(package, failures=9)
    assert said.splitlines()[1:] == [told, f"E: Unable to locate package {package}"]
