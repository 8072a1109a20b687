"""The result table, from the dicts that steps leave in XCom."""

import json
from datetime import date
from typing import Any

from rich.console import Console

from airflow_ingest.cli import plan_report
from airflow_ingest.cli.report import TableRun, result_table
from airflow_ingest.lakehouse.model import Batch, GateOutcome, LoadResult, RowCounts, RuleResult

BATCH = Batch(table="flights", id="b1", generation=1, run_id="r", processing_date=date(2013, 1, 1))
READ = RowCounts(read=1000, inserted=1000)
INGEST = LoadResult(step="ingest_bronze", table="flights", batch=BATCH, rows=READ, seconds=0.5)
GATE = GateOutcome(
    table="flights",
    batch=BATCH,
    decision="warn",
    rows=RowCounts(read=1000, rejected=12),
    rejections={"has_distance": 4, "flight is not int": 9},
    rules=(
        RuleResult(name="on_earth", kind="expect", severity="warning", passed=False, failing=3),
        RuleResult(name="has_distance", kind="expect", severity="error", passed=False, failing=4),
        RuleResult(name="row_count", kind="row_count", severity="error", passed=True),
    ),
    seconds=0.25,
)
MERGE = LoadResult(
    step="merge_silver",
    table="flights",
    batch=BATCH,
    rows=RowCounts(read=1000, inserted=900, updated=80, unchanged=8, rejected=12),
    seconds=1.0,
)


def _run(**changed: Any) -> TableRun:
    values: dict[str, Any] = {
        "day": "2013-01-01",
        "table": "flights",
        "state": "loaded",
        "ingest": INGEST.to_dict(),
        "gates": [GATE.to_dict()],
        "published": [MERGE.to_dict()],
    }
    return TableRun(**{**values, **changed})


def _text(*runs: TableRun) -> str:
    console = Console(width=160, no_color=True)
    with console.capture() as capture:
        console.print(result_table(runs))
    return capture.get()


def test_a_line_holds_rows_read_merged_and_rejected_with_reasons_and_seconds() -> None:
    text = _text(_run())
    line = next(line for line in text.splitlines() if "flights" in line and "2013-01-01" in line)
    assert [cell.strip() for cell in line.split("│")[1:-1]] == [
        "2013-01-01", "flights", "loaded", "1,000", "980", "12", "flight is not int: 9", "1.8"
    ]  # fmt: skip
    assert "has_distance: 4" in text


def test_rules_that_only_warn_are_noted_and_those_that_rejected_are_not_said_twice() -> None:
    assert _run().warnings == ["warning: on_earth: 3 rows"]


def test_a_gold_table_counts_what_its_query_gave() -> None:
    gold = LoadResult(step="gold", table="daily", rows=RowCounts(read=16, inserted=16), seconds=0.4)
    run = _run(table="gold.daily", ingest=None, gates=[], published=[gold.to_dict()])
    assert (run.rows_read, run.rows_merged, run.rows_rejected) == (16, 16, 0)


def test_a_held_batch_merged_nothing_and_says_why() -> None:
    run = _run(state="held", published=[], message="12 of 1000 rows rejected, more than 1 %\nmore")
    assert run.rows_merged == 0
    text = _text(run)
    assert "held" in text
    assert "12 of 1000 rows rejected, more than 1 %" in text


def test_what_did_not_run_has_no_numbers() -> None:
    text = _text(TableRun("2013-01-01", "gold.daily", "not run", message="flights failed"))
    assert [cell.strip() for cell in text.splitlines()[3].split("│")[4:7]] == ["-", "-", "-"]
    assert "flights failed" in text


def test_names_with_brackets_are_text_and_not_markup() -> None:
    gate = GATE.model_copy(update={"rejections": {"[bold]x[/bold] is not int": 1}})
    assert "[bold]x[/bold] is not int" in _text(_run(gates=[gate.to_dict()]))


def test_several_batches_of_a_run_are_summed() -> None:
    run = _run(gates=[GATE.to_dict(), GATE.to_dict()], published=[MERGE.to_dict(), MERGE.to_dict()])
    assert (run.rows_merged, run.rows_rejected, run.reasons["has_distance"]) == (1960, 24, 8)


def test_a_run_is_json() -> None:
    said = json.loads(json.dumps(_run().to_dict()))
    assert said["reasons"] == {"flight is not int": 9, "has_distance": 4}
    assert (said["read"], said["merged"], said["rejected"], said["seconds"]) == (1000, 980, 12, 1.75)


def test_a_plan_names_everything_that_can_become_of_a_row() -> None:
    assert set(plan_report._FATES) == set(RowCounts.model_fields) - {"read", "retracted"}
