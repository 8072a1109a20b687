"""What operators hand to each other through XCom, and what they say in the log."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_ingest.config import IngestError
from airflow_ingest.lakehouse import Batch, GateOutcome, Interval, LoadResult, RowCounts
from airflow_ingest.lakehouse.model import RuleResult
from airflow_ingest.operators._results import (
    batches_of,
    describe,
    describe_gate,
    held_of,
    merged,
    passed_of,
    told_of,
)


def day(number: int) -> datetime:
    return datetime(2013, 1, number, tzinfo=timezone.utc)


def batch(number: int) -> Batch:
    return Batch(
        table="t",
        id=f"b{number}",
        generation=1,
        run_id="r",
        interval=Interval(start=day(number), end=day(number + 1)),
        processing_date=day(number).date(),
    )


def outcome(number: int, decision: str) -> dict[str, Any]:
    return GateOutcome(table="t", batch=batch(number), decision=decision).to_dict()


def load(number: int, **rows: int) -> LoadResult:
    return LoadResult(
        step="merge_silver",
        table="t",
        batch=batch(number),
        version=number,
        watermark_from=day(number),
        watermark_to=day(number + 1),
        rows=RowCounts(**rows),
        seconds=1.5,
    )


def test_pending_batches_come_from_the_ingest() -> None:
    ingested = LoadResult(step="ingest_bronze", table="t", batch=batch(2), pending=(batch(1), batch(2)))

    assert batches_of(ingested.to_dict()) == (batch(1), batch(2))
    assert batches_of([batch(1).to_dict()]) == (batch(1),)


def test_a_batch_that_several_mapped_ingests_name_is_taken_once() -> None:
    results = [
        LoadResult(step="ingest_bronze", table="t", batch=batch(3), pending=(batch(1), batch(3))),
        LoadResult(step="ingest_bronze", table="t", batch=batch(2), pending=(batch(1), batch(2), batch(3))),
    ]

    assert batches_of([result.to_dict() for result in results]) == (batch(1), batch(2), batch(3))


def test_a_gate_that_holds_one_batch_lets_the_others_flow() -> None:
    outcomes = [outcome(1, "pass"), outcome(2, "block"), outcome(3, "warn")]

    assert [found.id for found, _ in passed_of(outcomes)] == ["b1", "b3"]
    assert [gate.decision for _, gate in passed_of(outcomes) if gate] == ["pass", "warn"]
    assert [gate.batch.id for gate in held_of(outcomes)] == ["b2"]


def test_batches_without_a_gate_are_published_as_they_are() -> None:
    assert passed_of([batch(1).to_dict()]) == ((batch(1), None),)
    assert passed_of([]) == ()


@pytest.mark.parametrize("value", [None, "[]", 3, ["b1"]], ids=repr)
def test_what_is_no_batch_is_refused(value: object) -> None:
    with pytest.raises(IngestError, match=r"These are not batches.*batches=ingest\.output"):
        batches_of(value)


def test_one_load_is_handed_on_as_it_is() -> None:
    assert merged([load(1, read=3, inserted=3)]) == load(1, read=3, inserted=3).to_dict()


def test_several_loads_are_added_up() -> None:
    total = merged([load(1, read=3, inserted=3), load(2, read=5, updated=4, rejected=1)])

    assert total["batch"]["id"] == "b2"
    assert total["version"] == 2
    assert (total["watermark_from"], total["watermark_to"]) == ("2013-01-01T00:00:00Z", "2013-01-03T00:00:00Z")
    assert (total["rows"]["read"], total["rows"]["inserted"], total["rows"]["rejected"]) == (8, 3, 1)
    assert total["seconds"] == 3.0
    assert [one["batch"]["id"] for one in total["loads"]] == ["b1", "b2"]


def test_a_load_in_one_line() -> None:
    assert describe(load(1, read=3, inserted=2, rejected=1)) == (
        "merge_silver t [2013-01-01 00:00 to 2013-01-02 00:00, batch b1]: loaded; "
        "rows: 3 read, 2 inserted, 1 rejected, version 1; 1.5 s"
    )


def test_rescued_rows_and_unused_columns_are_told() -> None:
    loaded = load(1, read=3, inserted=3).model_copy(update={"rescued": 2})
    assert "rows: 3 read, 3 inserted, 2 of them with rescued data, version 1" in describe(loaded)
    names = [f"c{number}" for number in range(22)]
    told = describe_gate(GateOutcome.from_dict({**outcome(1, "pass"), "unused": names}))
    assert told.endswith(f"\n  not used by silver: {', '.join(names[:20])} and 2 more")


def test_the_gates_decision_names_the_rules_that_did_not_hold() -> None:
    gate = GateOutcome.from_dict(
        {
            **outcome(1, "block"),
            "rows": {"read": 10, "rejected": 2},
            "reasons": ["20.00% of the rows were rejected, allowed 5.00%"],
            "rejections": {"positive": 2, "other": 0},
            "rules": [
                {
                    "name": "positive",
                    "kind": "expect",
                    "severity": "error",
                    "passed": False,
                    "message": "2 rows break it",
                    "failing": 2,
                    "sample": ["-5", "[red]"],
                },
                {"name": "other", "kind": "expect", "severity": "error", "passed": True},
            ],
        }
    )

    assert describe_gate(gate) == (
        "quality_gate t [2013-01-01 00:00 to 2013-01-02 00:00, batch b1]: block; "
        "10 rows read, 2 rejected (2 by positive); 0.0 s\n"
        "  error: positive: 2 rows break it\n"
        "  20.00% of the rows were rejected, allowed 5.00%\n"
        "+------------------------------------------------------------------------------------+\n"
        "| rule     | severity | outcome | failing | found | allowed | seconds | for instance |\n"
        "|----------+----------+---------+---------+-------+---------+---------+--------------|\n"
        "| positive | error    | broken  |       2 |       |         |     0.0 | -5; [red]    |\n"
        "| other    | error    | holds   |       0 |       |         |     0.0 |              |\n"
        "+------------------------------------------------------------------------------------+"
    )


def test_the_log_of_gold_shows_its_rules_in_120_columns_and_its_event_no_samples() -> None:
    long = "a rule with a name of some length, " * 8
    rule = RuleResult(name=long, kind="expect", severity="error", passed=False, failing=2, sample=("x" * 200, "y"))
    gold = LoadResult(step="gold", table="daily", rules=(rule,))

    first, *table = describe(gold).splitlines()
    told = told_of(gold.to_dict(), gold.rules)

    assert first.startswith("gold daily: loaded")
    assert max(map(len, table)) <= 120
    assert "".join(table).count("x") == 200, "nothing is cut off"
    assert told["quality"] == [{"name": long, "severity": "error", "passed": False, "failing": 2, "value": None}]
    assert "rules" not in told
    assert "xxx" not in str(told)
