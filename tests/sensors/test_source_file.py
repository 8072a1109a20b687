"""Waiting for files: local paths, globs, folders and URLs; and what a sensor says when they do not come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ingest.testing.airflow_home import MakeContext

if TYPE_CHECKING:
    from airflow_ingest.sensors import SourceFileSensor


def sensor(files: str, **arguments: Any) -> SourceFileSensor:
    from airflow.sdk import DAG

    from airflow_ingest.sensors import SourceFileSensor

    with DAG("p"):
        return SourceFileSensor(task_id="wait", files=files, **arguments)


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    """A folder with two files that count and two that do not."""
    folder = tmp_path / "landing"
    (folder / "empty").mkdir(parents=True)
    for name in ("a.csv", "b.csv", "_SUCCESS", ".c.csv.crc"):
        (folder / name).write_text("x")
    return folder


@pytest.mark.parametrize(
    ("files", "there"),
    [
        pytest.param("a.csv", True, id="file"),
        pytest.param("missing.csv", False, id="no-file"),
        pytest.param("*.csv", True, id="glob"),
        pytest.param("*.json", False, id="glob-without-match"),
        pytest.param("_*", False, id="hidden-files-do-not-count"),
        pytest.param("", True, id="folder"),
        pytest.param("empty", False, id="empty-folder"),
        pytest.param("nowhere/*.csv", False, id="no-folder"),
    ],
)
@pytest.mark.parametrize("scheme", ["", "file://", "memory://"], ids=["path", "file-url", "object-store"])
def test_what_is_there(landing: Path, make_context: MakeContext, scheme: str, files: str, there: bool) -> None:
    if scheme == "memory://":
        import fsspec  # type: ignore[import-untyped]

        fsspec.filesystem("memory").put(str(landing), "/landing", recursive=True)
        pattern = f"memory://landing/{files}"
    else:
        pattern = f"{scheme}{landing}/{files}"
    waiting = sensor(pattern.rstrip("/"))

    assert waiting.poke(make_context(waiting)) is there


def test_it_frees_its_slot_by_default() -> None:
    assert sensor("x").mode == "reschedule"
    assert sensor("x", mode="poke").mode == "poke"


def test_the_path_follows_the_interval(make_context: MakeContext) -> None:
    waiting = sensor("in/{{ ds }}.csv")

    waiting.render_template_fields(make_context(waiting))

    assert waiting.files == "in/2013-01-05.csv"


def test_a_timeout_names_the_path_and_what_is_there_instead(landing: Path, make_context: MakeContext) -> None:
    from airflow.sdk.exceptions import AirflowSensorTimeout

    waiting = sensor(f"{landing}/flights/2013-01-05.csv", mode="poke", timeout=0, poke_interval=0)

    with pytest.raises(AirflowSensorTimeout) as caught:
        waiting.execute(make_context(waiting))

    assert str(caught.value) == (
        f"{landing}/flights/2013-01-05.csv is still not there after 0 s. "
        f"The nearest folder, {landing}, holds .c.csv.crc, _SUCCESS, a.csv, b.csv, empty. "
        "If the file comes later, raise `wait.timeout`; if it comes elsewhere, correct `source.files`; "
        "then clear this task."
    )


def test_a_timeout_in_an_empty_folder(landing: Path, make_context: MakeContext) -> None:
    from airflow.sdk.exceptions import AirflowSensorTimeout

    waiting = sensor(f"{landing}/empty/x.csv", mode="poke", timeout=0, poke_interval=0)

    with pytest.raises(AirflowSensorTimeout, match=rf"The nearest folder, {landing}/empty, is empty\."):
        waiting.execute(make_context(waiting))


def test_keywords_only() -> None:
    from airflow_ingest.sensors import SourceFileSensor

    with pytest.raises(TypeError):
        SourceFileSensor("x")  # type: ignore[call-arg]
