"""From text to models: YAML, environment variables, defaults, files."""

import pickle
from datetime import datetime, timedelta, timezone
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from airflow_ingest.config import ConfigError, Pipeline, Table, load_pipeline, parse_gold, parse_pipeline, parse_table

TABLES = "tables: {t: {source: {files: a.csv, format: csv}}}\n"
MINIMAL = "pipeline: p\nlake: ./lake\n" + TABLES


def parse(text: str, **env: str) -> Pipeline:
    return parse_pipeline(dedent(text), file="p.yaml", env=env)


def mistakes(text: str, **env: str) -> str:
    with pytest.raises(ConfigError) as raised:
        parse(text, **env)
    return str(raised.value)


def test_defaults_of_a_minimal_pipeline() -> None:
    pipeline = parse(MINIMAL)
    assert pipeline.schedule is None
    assert pipeline.start_date is None
    assert pipeline.spark.conn_id == "spark_default"
    assert (pipeline.retries.attempts, pipeline.retries.delay) == (3, timedelta(seconds=30))
    assert pipeline.tables["t"].extract.mode == "interval"
    assert pipeline.tables["t"].silver is None
    assert pipeline.tables["t"].bronze.schema_ == "evolve"


def test_models_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse(MINIMAL).lake = "elsewhere"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2013-01-01", "2013-01-01T00:00:00+01:00"),
        ("2013-01-01 06:30", "2013-01-01T06:30:00+01:00"),
        ('"2013-07-01T06:30"', "2013-07-01T06:30:00+02:00"),
        ("2013-01-01T06:30:00+05:00", "2013-01-01T06:30:00+05:00"),
    ],
)
def test_start_date_is_aware(written: str, expected: str) -> None:
    pipeline = parse(f"pipeline: p\nlake: l\ntimezone: Europe/Berlin\nstart_date: {written}\n{TABLES}")
    assert pipeline.start_date is not None
    assert pipeline.start_date.isoformat() == expected


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("010", "010"),
        ("12:30", "12:30"),
        ("0x1F", "0x1F"),
        ("-7", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("yes", True),
        ('"yes"', "yes"),
        ("!!str 7", "7"),
        ("NA", "NA"),
        ("2013-01-31", "2013-01-31"),
    ],
)
def test_scalars(written: str, value: Any) -> None:
    pipeline = parse(MINIMAL.replace("format: csv", f"format: csv, options: {{nullValue: {written}}}"))
    assert pipeline.tables["t"].source.options["nullValue"] == value
    assert type(pipeline.tables["t"].source.options["nullValue"]) is type(value)


def test_anchors_and_merges() -> None:
    pipeline = parse("""\
        pipeline: p
        lake: l
        tables:
          t: &t
            source: &s {files: a.csv, format: csv}
            wait: {timeout: 1h}
          u:
            <<: *t
            source: {<<: *s, files: b.csv}
    """)
    assert pipeline.tables["u"].source.files == "b.csv"
    assert pipeline.tables["u"].source.format == "csv"
    assert pipeline.tables["u"].wait == pipeline.tables["t"].wait


def test_a_bomb_of_aliases_is_read_in_no_time() -> None:
    levels = "".join(f"  l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert "l29" in parse(f"{MINIMAL}dag:\n  l0: &l0 [x]\n{levels}").dag


def test_environment_variables() -> None:
    text = """\
        pipeline: p
        description: not ${ROOT}
        owner: ${ROOT}
        tags: ["${ROOT}"]
        lake: ${ROOT}/lake
        max_active_runs: ${RUNS:-2}
        timezone: ${ZONE:-UTC}
        dag: {doc: "${ROOT}"}
        tables:
          t:
            source: {files: "${LANDING:-./in/{{ ds }}}/${EMPTY:-x}${EMPTY}.csv", format: csv}
    """
    pipeline = parse(text, ROOT="s3://bucket", EMPTY="", ZONE="Europe/Berlin")
    assert pipeline.lake == "s3://bucket/lake"
    assert type(pipeline.lake) is str
    assert pipeline.max_active_runs == 2
    assert pipeline.timezone == "Europe/Berlin"
    assert pipeline.tables["t"].source.files == "./in/{{ ds }}/x.csv"
    assert pipeline.dag == {"doc": "s3://bucket"}
    assert (pipeline.description, pipeline.owner, pipeline.tags) == ("not ${ROOT}", "${ROOT}", ["${ROOT}"])


def test_environment_variables_default_to_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_OF_TEST", "from-the-process")
    text = MINIMAL.replace("./lake", "${LAKE_OF_TEST}")
    assert parse_pipeline(text, file="p.yaml").lake == "from-the-process"


@pytest.mark.parametrize(
    "line",
    [
        'timezone: "${SECRET}"',
        'schedule: "${SECRET}"',
        'tags: "${SECRET}"',
        "retries: {delay: '${SECRET}'}",
        "retries: {attempts: '${SECRET}'}",
        "spark: ${SECRET}",
        "catchup: ${SECRET}",
        "start_date: ${SECRET}",
        "gold: {g: {sql: '${SECRET}'}}",
        "defaults: {source: {delta: {table: '${SECRET}', path: '${SECRET}', columns: ['${SECRET}', '${SECRET}']}}}",
        "defaults: {source: {delta: {table: 'x${SECRET}.t', where: '${SECRET} x y'}}}",
        "gold: {g: {sql: 'SELECT a FROM ${SECRET}'}}",
        "gold: {g: {sql: 'SELECT a FROM silver.t', load: '${SECRET}'}}",
        "gold: {g: {aggregate: {from: '${SECRET}', measures: {a: '${SECRET}'}}}}",
        "defaults: {source: {format: '${SECRET}'}, quality: {max_reject_rate: '${SECRET}'}}",
        "defaults: {silver: {columns: {a: '${SECRET}'}, keys: ['${SECRET}'], where: '${SECRET} x y'}}",
        "defaults: {silver: {keys: [a], columns: {a: int}}, quality: {rules: [{expect: 'a > ${SECRET}'}]}}",
    ],
)
def test_messages_never_show_what_a_variable_holds(line: str) -> None:
    assert "hunter2" not in mistakes(f"{MINIMAL}{line}\n", SECRET="hunter2hunter2")


def test_defaults_are_merged_into_every_table() -> None:
    pipeline = parse("""\
        pipeline: p
        lake: l
        defaults:
          source: {format: csv, options: {header: true}}
          silver: {keys: [id]}
          quality: {max_reject_rate: 5%, rules: [{row_count: {min: 1}}]}
        tables:
          a: {source: {files: a.csv}}
          b: {source: {files: b.csv, options: {header: false, sep: ;}}, quality: {rules: [{expect: id > 0}]}}
          c: {source: {files: c.json, format: json}, silver: null, quality: {rules: []}}
    """)
    tables = pipeline.tables
    assert tables["a"].source.options == {"header": True}
    assert tables["b"].source.options == {"header": False, "sep": ";"}
    assert [rule.kind for rule in tables["b"].quality.rules] == ["expect"]
    assert tables["b"].quality.max_reject_rate == 0.05
    assert tables["a"].silver is not None


def test_null_in_a_table_takes_a_default_away() -> None:
    pipeline = parse(
        MINIMAL.replace("format: csv}", "format: csv}, silver: null") + "defaults: {silver: {keys: [id]}}\n"
    )
    assert pipeline.tables["t"].silver is None


def test_a_bare_type_and_the_star() -> None:
    table = parse_table(
        {
            "source": {"files": "a.csv", "format": "csv"},
            "silver": {"keys": ["id"], "columns": {"id": "int", "name": {"from": "nm"}, "*": "keep"}},
        }
    )
    assert table.silver is not None
    assert table.silver.keep_others
    assert table.silver.columns is not None
    assert list(table.silver.columns) == ["id", "name"]
    assert table.silver.columns["id"].type == "int"
    assert table.silver.columns["name"].from_ == "nm"


def test_a_table_survives_a_trip_through_json() -> None:
    spec = {
        "source": {"files": "a.csv", "format": "csv"},
        "wait": {"timeout": "90m"},
        "silver": {"keys": ["id"], "columns": {"id": "int", "*": "keep"}},
        "quality": {"max_reject_rate": "0.1%", "rules": [{"unique": ["id"]}, {"range": {"column": "id", "min": 1}}]},
    }
    table = parse_table(spec)
    assert Table.model_validate(table.model_dump(mode="json")) == table


def test_mistakes_of_plain_data_have_a_path_and_no_line() -> None:
    with pytest.raises(ConfigError) as raised:
        parse_table({"source": {"file": "a.csv"}, "silver": {"keys": ["id"], "where": "a >"}}, name="flights")
    assert str(raised.value) == dedent("""\
        flights: silver.where: not valid SQL: something is missing after ">"
        flights: source.file: unknown key "file"
            Did you mean "files"?""")


def test_a_table_on_its_own_has_no_deadline() -> None:
    with pytest.raises(ConfigError, match="sla: a table on its own has no runs that could be late"):
        parse_table({"source": {"files": "a.csv", "format": "csv"}, "sla": {"within": "1h"}})


def test_gold_from_plain_data() -> None:
    gold = parse_gold({"sql": "SELECT a.id FROM silver.a AS a JOIN gold.b USING (id) JOIN silver.a AS c USING (id)"})
    assert gold.inputs == ("silver.a", "gold.b")
    with pytest.raises(ConfigError, match=r"Write silver\.<table>"):
        parse_gold({"sql": "SELECT id FROM elsewhere"})


def test_generated_names_of_rules_are_unique() -> None:
    rules = [
        {"expect": "a > 0"},
        {"expect": "a > 0"},
        {"unique": ["a", "b"]},
        {"row_count": {"min": 1}, "name": "some"},
    ]
    table = parse_table(
        {"source": {"files": "a", "format": "csv"}, "silver": {"keys": ["a"]}, "quality": {"rules": rules}}
    )
    assert [rule.name for rule in table.quality.rules] == [
        "expect(a > 0)",
        "expect(a > 0) #2",
        "unique(a, b)",
        "some",
    ]


def test_columns_are_found_whatever_their_case() -> None:
    text = MINIMAL.replace("format: csv}", "format: csv}, silver: {keys: [ID], columns: {Id: int}}")
    assert parse(text).tables["t"].silver is not None


def test_load_reads_a_file(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load_pipeline(file).pipeline == "p"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_pipeline(tmp_path / "p.yaml")
    assert str(raised.value) == f"{tmp_path / 'p.yaml'}: cannot be read: No such file or directory"


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_bytes("pipeline: p\ndescription: caf\u00e9".encode("latin-1"))
    with pytest.raises(ConfigError) as raised:
        load_pipeline(file)
    assert str(raised.value) == f"{file}:2:17: the file is not UTF-8: byte 0xe9\n    Save it as UTF-8."


def test_places_are_right_with_windows_lines_and_wide_characters() -> None:
    text = "pipeline: p\r\ndescription: «ünïcode» 🙂\r\nlake: {l: 1}\r\n" + TABLES
    assert mistakes(text).startswith("p.yaml:3:7: lake: must be a text, not a mapping")


@pytest.mark.parametrize("indent", ["  ", "    "])
def test_sql_in_a_block_keeps_its_place(indent: str) -> None:
    sql = f"gold:\n  g:\n    sql: |  # told\n    {indent}\n    {indent}SELECT id\n    {indent}  FROM silver.nowhere\n"
    assert f"p.yaml:9:{4 + len(indent) + 8}: gold.g.sql" in mistakes(MINIMAL + sql)


def test_errors_can_be_pickled() -> None:
    with pytest.raises(ConfigError) as raised:
        parse("pipeline: 1")
    assert pickle.loads(pickle.dumps(raised.value)).mistakes == raised.value.mistakes


def test_schedule_of_assets_is_read_when_it_is_served() -> None:
    text = MINIMAL.replace("format: csv}", "format: csv}, extract: {mode: full}") + "schedule: {assets: [o.silver.t]}\n"
    pipeline = parse_pipeline(text, file="p.yaml", env={}, served=False)
    assert not isinstance(pipeline.schedule, str | None)
    assert pipeline.schedule.assets == ["o.silver.t"]


def test_start_date_is_utc_by_default() -> None:
    pipeline = parse(f"pipeline: p\nlake: l\nstart_date: 2013-01-01\n{TABLES}")
    assert pipeline.start_date == datetime(2013, 1, 1, tzinfo=timezone.utc)
