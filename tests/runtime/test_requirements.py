"""What is missing is told with what to do about it."""

import sys
from pathlib import Path

import pytest

from airflow_ingest.runtime import Embedded, RuntimeProblem, checks, jars, prefetch, server_status, start_server
from airflow_ingest.runtime.jars import DELTA_MODULES, delta_jars


@pytest.fixture
def fake_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `java` on JAVA_HOME that says what the test lets it say."""
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    monkeypatch.setenv("AIRFLOW_INGEST_HOME", str(tmp_path / "home"))
    return java


def test_a_wrong_java_is_named_with_its_version(fake_java: Path) -> None:
    with pytest.raises(RuntimeProblem, match=rf"(?s)needs Java 17 or 21, but {fake_java} is Java 11.*openjdk-17-jre"):
        start_server()
    assert server_status() == ()


def test_java_8_counts_in_its_own_way(fake_java: Path) -> None:
    fake_java.write_text("#!/bin/sh\necho 'java version \"1.8.0_402\"' >&2\n")
    with pytest.raises(RuntimeProblem, match="is Java 8"):
        start_server()


def test_a_java_that_does_not_run_is_named(fake_java: Path) -> None:
    fake_java.write_text("#!/bin/sh\necho 'cannot execute' >&2; exit 126\n")
    with pytest.raises(RuntimeProblem, match=r"tells no version: 'cannot execute'"):
        start_server()


def test_no_java_is_told_with_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        RuntimeProblem, match=r"(?s)no java on the PATH.*apt-get install openjdk-17-jre-headless.*JAVA_HOME"
    ):
        start_server()


def test_a_java_home_without_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(RuntimeProblem, match=rf"JAVA_HOME={tmp_path} holds no bin/java"):
        start_server()


def test_a_client_only_pyspark_is_told_with_the_extra_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = tmp_path / "pyspark"
    client.mkdir()
    (client / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pyspark", raising=False)
    with pytest.raises(RuntimeProblem, match=r"(?s)only a client.*pip install 'airflow-ingest\[embedded\]'"):
        start_server()


def test_an_unreachable_repository_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_INGEST_MAVEN_REPOSITORY", "http://127.0.0.1:9/maven")
    assert prefetch.main() == 1
    said = capsys.readouterr().err
    assert "io.delta:delta-spark_4.2_2.13:4.4.0" in said
    assert "http://127.0.0.1:9/maven/" in said
    assert "Connection refused" in said
    assert "AIRFLOW_INGEST_MAVEN_REPOSITORY" in said
    assert len(said.splitlines()) < 12


def test_jars_come_from_the_named_repository_and_then_from_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    for jar in delta_jars():
        name = jar.name.removesuffix("-4.4.0.jar")
        folder = repository / "io" / "delta" / name / "4.4.0"
        folder.mkdir(parents=True)
        (folder / jar.name).write_bytes(b"jar")
        (folder / jar.name.replace(".jar", ".pom")).write_text(
            f"<project><modelVersion>4.0.0</modelVersion><groupId>io.delta</groupId><artifactId>{name}</artifactId>"
            "<version>4.4.0</version></project>"
        )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AIRFLOW_INGEST_MAVEN_REPOSITORY", repository.as_uri())
    found = delta_jars()
    assert [jar.read_bytes() for jar in found] == [b"jar"] * len(DELTA_MODULES)
    monkeypatch.setattr(jars, "_download", None)
    assert delta_jars() == found


def test_checks_tell_what_is_there() -> None:
    found = {check.name: check for check in checks()}
    assert list(found) == ["Java", "Spark", "Delta Lake", "State folder", "Embedded server"]
    assert all(check.ok for check in found.values()), found
    assert "Spark 4.2.0" in found["Spark"].detail


def test_checks_tell_what_is_wrong_and_go_on(fake_java: Path) -> None:
    found = {check.name: check for check in checks()}
    assert not found["Java"].ok
    assert "JAVA_HOME" in found["Java"].remedy
    assert found["Spark"].ok
    assert found["Embedded server"].ok


def test_a_state_folder_that_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AIRFLOW_INGEST_HOME", str(tmp_path / "file"))
    with pytest.raises(RuntimeProblem, match=rf"(?s)cannot be kept in {tmp_path}/file/spark.*AIRFLOW_INGEST_HOME"):
        start_server()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AIRFLOW_INGEST_SPARK_MEMORY", "lots", "not a size"),
        ("AIRFLOW_INGEST_SPARK_CORES", "0", "not a number"),
        ("AIRFLOW_INGEST_SPARK_IDLE_TIMEOUT", "15", "not a duration"),
        ("AIRFLOW_INGEST_SPARK_PORT", "99999", "not a port"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(RuntimeProblem, match=rf"(?s){value}.*{said}") as caught:
        Embedded()
    assert variable in str(caught.value)
