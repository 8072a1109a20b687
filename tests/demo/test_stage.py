"""What is settled before the demonstration starts."""

from pathlib import Path

import pytest

from demo.stage import Stage, wanted_port


def test_a_second_demonstration_is_kept_out(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "demo")
    with stage.taken(), pytest.raises(BlockingIOError, match="already runs"), stage.taken():
        pass
    with stage.taken():
        pass


def test_what_an_earlier_one_left_goes_and_nothing_else(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    for folder in (stage.lake, stage.landing, stage.airflow, tmp_path / "mine"):
        folder.mkdir()
    stage.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(("text", "port"), [("", None), ("8080", 8080)])
def test_port(monkeypatch: pytest.MonkeyPatch, text: str, port: int | None) -> None:
    monkeypatch.setenv("DEMO_PORT", text)
    assert wanted_port() == port


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1"])
def test_no_port(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DEMO_PORT", text)
    with pytest.raises(ValueError, match=f"DEMO_PORT={text} is not a port"):
        wanted_port()
