"""Reading a table's log: by its files and by Spark, which have to tell the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_ingest.lakehouse import log
from airflow_ingest.lakehouse.log import SHARED_FILES, _from_files, _from_spark, commits_after, history
from airflow_ingest.runtime import ServerStatus, session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def append(spark: SparkSession, path: str, note: str) -> None:
    spark.range(3).coalesce(1).write.format("delta").mode("append").option("userMetadata", note).save(path)


@pytest.fixture(scope="module")
def original(spark_server: ServerStatus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    with session() as spark:
        write_history(spark, str(folder))
    return folder


@pytest.fixture
def table(original: Path, tmp_path: Path) -> str:
    return str(shutil.copytree(original, tmp_path / "a table"))


def write_history(spark: SparkSession, path: str) -> None:
    append(spark, path, '{"number": 0}')
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.checkpointInterval' = '3')")
    for number in range(1, 4):
        append(spark, path, f'{{"number": {number}}}')
    append(spark, path, "not JSON")
    spark.sql(f"DELETE FROM delta.`{path}` WHERE id = 1").collect()
    spark.sql(f"OPTIMIZE delta.`{path}`").collect()
    spark.sql(f"RESTORE TABLE delta.`{path}` TO VERSION AS OF 3").collect()


def test_the_files_tell_what_spark_tells(spark: SparkSession, table: str) -> None:
    folder = Path(table, "_delta_log")
    for limit in (1, 3, 100):
        assert list(_from_files(folder, limit)) == _from_spark(spark, table, limit)
    newest, *_, first = _from_files(folder, 100)
    assert (newest.version, newest.operation, first.version, first.metadata) == (8, "RESTORE", 0, {"number": 0})
    assert first.metrics["numOutputRows"] == 3


def test_where_files_are_not_shared_spark_is_asked(spark: SparkSession, table: str) -> None:
    shared = history(spark, table, 5)
    with session() as other:
        other.conf.set(SHARED_FILES, "false")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(log, "_from_files", None)
            assert history(other, table, 5) == shared


@pytest.mark.parametrize("look_back", [3, 50])
def test_the_commits_after_a_version_are_the_same_both_ways(
    spark: SparkSession, table: str, look_back: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LOOK_BACK", look_back)
    with session() as other:
        other.conf.set(SHARED_FILES, "false")
        for version in (-1, 0, 4, 7, 8, 9):
            expected = list(range(8, version, -1))
            assert [commit.version for commit in commits_after(spark, table, version)] == expected
            assert [commit.version for commit in commits_after(other, table, version)] == expected


def test_commits_that_were_cleaned_up_are_not_told(table: str) -> None:
    folder = Path(table, "_delta_log")
    for version in range(5):
        (folder / f"{version:020d}.json").unlink()
    assert [commit.version for commit in _from_files(folder, 100)] == list(range(8, 4, -1))


@pytest.mark.parametrize("hint", ["", "{}", '{"version": 99}', '{"version": 2}', None])
def test_a_last_checkpoint_that_misleads_does_no_harm(table: str, hint: str | None) -> None:
    folder = Path(table, "_delta_log")
    if hint is None:
        (folder / "_last_checkpoint").unlink()
    else:
        (folder / "_last_checkpoint").write_text(hint)
    assert next(_from_files(folder, 1)).version == 8


def test_no_table_has_no_commits(spark: SparkSession, tmp_path: Path) -> None:
    assert history(spark, str(tmp_path / "none"), 5) == _from_spark(spark, str(tmp_path / "none"), 5) == []


def test_commits_of_other_writers_are_read_as_well(tmp_path: Path) -> None:
    lines = ['{"protocol":{}}', '{"commitInfo":{"operation":"WRITE","operationMetrics":{"n":3,"x":"y","d":null}}}']
    (tmp_path / f"{0:020d}.json").write_text("\n".join(lines))
    (tmp_path / f"{1:020d}.json").write_text('{"add":{}}')
    newest, oldest = _from_files(tmp_path, 5)
    assert (newest.operation, newest.metadata, newest.metrics) == ("", {}, {})
    assert (oldest.operation, oldest.metrics) == ("WRITE", {"n": 3})
