"""The text of a new pipeline."""

from enum import Enum
from string import Template

__all__ = ["Format", "starter"]


class Format(str, Enum):
    """What source files are."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


_OPTIONS = {
    Format.CSV: "\n      options: {header: true}           # Spark's options for reading CSV; nullValue: NA, say",
    Format.JSON: "                        # one JSON object a line",
    Format.PARQUET: "",
}
_SUFFIX = {Format.CSV: "csv", Format.JSON: "jsonl", Format.PARQUET: "parquet"}

_TEXT = Template("""\
# One file, one DAG. Check it with `airflow-ingest validate $name.yaml`, draw it with `airflow-ingest graph $name.yaml`.
$heading# equals this file's name; the DAG's id
description: What this pipeline carries, and for whom
schedule: "@daily"                      # a cron expression, a preset, or null
start_date: 2024-01-01
timezone: UTC
catchup: false                          # true: also load the intervals since start_date

lake: $${LAKE_ROOT:-./lake}              # tables at <lake>/<layer>/<name>; an environment variable, or else ./lake

tables:
  events:
    source:
      files: $${LANDING_ROOT:-./landing}/events/{{ ds }}.$suffix   # {{ ds }}: the interval's first day
      format: $format$options
    extract: {mode: interval}           # each run loads its own data interval; full: everything every time
    # wait: {timeout: 1h, poll: 30s}    # wait for the file before loading it
    silver:
      columns:                          # a value that does not cast sends its row to the dead-letter table
        id: bigint
        name: {expr: "trim(name)"}      # any Spark SQL expression over the source's columns
        amount: double
        updated_at: timestamp
      keys: [id]                        # one row per key …
      sequence_by: [updated_at]         # … the latest one, whatever order the files arrive in
      load: merge
    quality:
      max_reject_rate: 5%               # more than that, and the batch is held back
      rules:
        - {name: amount_not_negative, expect: "amount >= 0"}          # severity error: the row is rejected
        - {null_rate: {column: name, max: 10%}, severity: warning}    # warning: reported, and loaded
        - {row_count: {min: 1}}

gold:
  daily_totals:
    sql: |
      SELECT CAST(updated_at AS DATE) AS day, count(*) AS events, sum(amount) AS amount
      FROM silver.events GROUP BY CAST(updated_at AS DATE)
    load: overwrite
""")


def starter(name: str, file_format: Format) -> str:
    """The YAML of a pipeline `name` that reads one file of `file_format` a day; valid as it stands."""
    return _TEXT.substitute(
        heading=f"pipeline: {name}".ljust(39) + " ",
        name=name,
        format=file_format.value,
        suffix=_SUFFIX[file_format],
        options=_OPTIONS[file_format],
    )
