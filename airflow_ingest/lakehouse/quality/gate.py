"""The gate: every rule answered in one pass over the batch, which also carries the rejected rows to the DLQ."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pyspark.sql import Observation, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Quality, Table
from airflow_ingest.lakehouse.bronze import PROCESSING_DATE
from airflow_ingest.lakehouse.commits import Place, generation, stamped, written
from airflow_ingest.lakehouse.conflicts import replanned
from airflow_ingest.lakehouse.dlq import dead_letters, has_fixes, merge_letters, with_letter_ids
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import history, own_history
from airflow_ingest.lakehouse.model import (
    Batch,
    Decision,
    GateOutcome,
    PartitionRange,
    RowCounts,
    RuleResult,
    RunInfo,
    short_hash,
)
from airflow_ingest.lakehouse.quality.questions import Questions, failing, of_row, results
from airflow_ingest.lakehouse.quality.results import Judgement, past_values, record
from airflow_ingest.lakehouse.quality.row_rules import failing_condition
from airflow_ingest.lakehouse.quality.uniqueness import without_twins
from airflow_ingest.lakehouse.settings import compiled, is_bulk, other_settings, rows_expected
from airflow_ingest.lakehouse.silver.judged import (
    ACCEPTED,
    DELETES,
    ERRORS,
    FILTERED,
    MALFORMED,
    PUBLISHED,
    RANK,
    Judged,
    judge,
    judging,
    silver_of,
)
from airflow_ingest.lakehouse.silver.lookups import Lookups
from airflow_ingest.lakehouse.silver.projection import unused_columns
from airflow_ingest.lakehouse.sql import as_text, literal, quote
from airflow_ingest.lakehouse.tables import ensure

_ADAPTIVE_EXCLUDED = "spark.sql.adaptive.optimizer.excludedRules"
_PROPAGATE_EMPTY = "org.apache.spark.sql.execution.adaptive.AQEPropagateEmptyRelation"
_BROKEN = "__broken"
_LABELS = f"transform({ERRORS}, e -> concat_ws(' ', e.rule, e.column))"
"""What a row breaks, each by its label. A table may have a thousand checks, and each is counted."""
_KNOWN = {
    "__well_formed": f"(NOT {FILTERED} AND NOT array_contains({ERRORS}.rule, '{MALFORMED}'))",
    "__judgeable": f"(NOT {FILTERED} AND NOT {DELETES} AND NOT array_contains({ERRORS}.rule, '{MALFORMED}'))",
    "__rejected": f"(size({ERRORS}) > 0)",
    "__published": PUBLISHED,
    "__looked_at": f"({PUBLISHED} AND NOT {DELETES})",
}
"""What many rules ask of a row, worked out once for each row."""
_WELL_FORMED, _JUDGEABLE, _REJECTED, _PUBLISHED, _LOOKED_AT = _KNOWN


@replanned
def quality_gate(spark: SparkSession, lake: Lake, name: str, table: Table, run: RunInfo, batch: Batch) -> GateOutcome:
    """Judges `batch`: rejected rows go to the DLQ, the outcome of every rule to `ops/quality_results`.

    The decision is `block` if a batch rule of severity error failed, if one on rows cannot be worked out, or if more
    than `max_reject_rate` of the rows were rejected; `warn` if a rule of severity warning failed or a rate is one that
    people want to be told of; else `pass`.
    """
    started = time.monotonic()
    lookups = Lookups.of(spark, lake, table)
    expected = rows_expected(history(spark, lake.bronze(name), 1))
    with judging(spark), compiled(spark, expected):
        judged = judge(spark, lake, name, table, batch, lookups)
        unique = _known_unique(table, judged) if is_bulk(spark, expected) else ()
        asked = measuring(table, judged, unique)
        beside = asked.asked_beside(judged.columns)
        began = time.monotonic()
        measured = {**_measure_and_reject(spark, lake, table, run, asked, batch), **beside}
        seconds = time.monotonic() - began
    past = past_values(spark, lake, name, table.quality.rules, batch.id)
    found = outcome_of(table, judged, batch, measured, past, seconds)
    found = found.model_copy(update={"lookups": dict(lookups.versions), "seconds": time.monotonic() - started})
    record(spark, lake, run, Judgement.of(found))
    return found


def outcome_of(
    table: Table,
    judged: Judged,
    batch: Batch,
    measured: Mapping[str, Any],
    past: Mapping[str, Sequence[float]],
    seconds: float = 0.0,
) -> GateOutcome:
    """What the gate says of `batch`, whose rows `judged` gave `measured` for the aggregates of `measuring`.

    `past` are the values that rules found in earlier batches: see `past_values`; the pass took `seconds`.
    """
    rows = RowCounts(
        read=measured["read"],
        filtered=measured["filtered"],
        rejected=measured["rejected"],
        deduplicated=measured["deduplicated"],
    )
    rules = results(table.quality.rules, measured, batch.order, past, seconds)
    reasons, decision = _decide(table, rows, rules, judged, measured["passing"])
    if batch.released and decision == "block":
        reasons, decision = [f"released by hand in spite of: {reason}" for reason in reasons], "warn"
    return GateOutcome(
        table=batch.table,
        batch=batch,
        decision=decision,
        reasons=tuple(reasons),
        rows=rows,
        rejections=_rejections(table, judged, measured),
        rules=tuple(rules),
        partitions=_partition_ranges(table, measured),
        deletions=measured["deletions"],
        unused=tuple(unused_columns(silver_of(table), batch.columns)),
        fingerprint=rule_version(table),
    )


def rule_version(table: Table) -> str:
    """A hash of what silver and the rules say: two gates with the same one judge alike."""
    silver = table.silver.model_dump_json(exclude={"profile"}) if table.silver else ""
    return short_hash(silver, table.quality.model_dump_json())


def measuring(table: Table, judged: Judged, unique: Collection[int] = ()) -> Questions:
    """What is to be asked of the batch: aggregates that answer every rule in one pass.

    `unique` are the indexes of rules of which it is known that no row has a twin.
    """
    rules = ((index, rule, _base(rule)) for index, rule in _rules(table, "batch"))
    known = {name: F.expr(sql) for name, sql in {_BROKEN: _LABELS, **_KNOWN}.items()}
    rows = judged.rows.withColumns(known)
    conditions = {
        _told(index): F.expr(f"{_JUDGEABLE} AND {failing_condition(rule)}") for index, rule in _telling(table, judged)
    }
    asked = Questions.of(rules, rows.withColumns(conditions) if conditions else rows, unique)
    refused = {index: judged.refused[rule.name] for index, rule in _rules(table, "row") if rule.name in judged.refused}
    return asked.and_of_rows(_aggregates(table, judged), refused, _of_rejected(table, judged))


def _known_unique(table: Table, judged: Judged) -> Collection[int]:
    """The rules that a look at their columns alone answers; what the pipeline's own code makes is not made twice."""
    silver = silver_of(table)
    own_code = silver.transform is not None or silver.sql is not None
    return () if own_code else without_twins(judged.typed, _rules(table, "batch"))


def _measure_and_reject(
    spark: SparkSession, lake: Lake, table: Table, run: RunInfo, asked: Questions, batch: Batch
) -> Mapping[str, Any]:
    fingerprint = rule_version(table)
    rows = asked.rows
    letters = dead_letters(rows, batch, run, fingerprint)
    path = lake.dlq(batch.table)
    ensure(spark, lake, path, letters, columns=(), partition_by=(PROCESSING_DATE,))
    commits = own_history(spark, path)
    place = Place.of(batch, commits)
    stamp = place.stamp(
        f"{batch.table}/{batch.id}/dlq",
        batch.model_copy(update={"generation": generation()}),
        pipeline=lake.pipeline,
        layer="dlq",
        table=batch.table,
        run=run.run_id,
        fixes=has_fixes(commits),
    )
    if not place.first:
        rows = with_letter_ids(rows, batch.table)
        merge_letters(spark, path, dead_letters(rows, batch, run, fingerprint), rows, batch, stamp)
        return asked.of_rows(rows)
    seen, of_rejected = Observation(), Observation()
    observed = rows.observe(seen, *asked.of_all).where(_REJECTED)
    if asked.of_rejected:
        observed = observed.observe(of_rejected, *asked.of_the_rejected)
    letters = dead_letters(observed, batch, run, fingerprint)
    with _observing(spark):
        stamped(letters.write.format("delta").mode("append"), stamp).option("mergeSchema", True).save(path)
    if written(spark, path, stamp).metadata["batch"] != stamp.metadata["batch"]:
        return asked.of_rows(rows)  # a twin wrote the same letters first: ours were not run
    return asked.told({**seen.get, **(of_rejected.get if asked.of_rejected else {})})


@contextmanager
def _observing(spark: SparkSession) -> Iterator[None]:
    """Keeps Spark's adaptive execution from cutting a plan that turned out empty: it would cut the measures with it."""
    before = spark.conf.get(_ADAPTIVE_EXCLUDED, "")
    with other_settings(spark, {_ADAPTIVE_EXCLUDED: ",".join(filter(None, (before, _PROPAGATE_EMPTY)))}):
        yield


def _of_rejected(table: Table, judged: Judged) -> dict[str, str]:
    """How many rows were rejected for what, and some of those that a rule has rejected."""
    found = {name: f"count_if({_has(label)})" for label, name in _counted(table, judged).items()}
    for index, rule in _rules(table, "row"):
        if rule.severity == "error" and rule.name not in judged.refused:
            found |= of_row(rule, index, _has(rule.name))
    return found


def _aggregates(table: Table, judged: Judged) -> dict[str, str]:
    aggregates = {
        "read": "count(1)",
        "filtered": f"count_if({FILTERED})",
        "rejected": f"count_if({_REJECTED})",
        "deduplicated": f"count_if({ACCEPTED} AND {RANK} > 1)",
        "deletions": f"count_if({_PUBLISHED} AND {DELETES})",
        "passing": f"count_if({ACCEPTED} AND NOT {_warned(table, judged)})",
    }
    for index, rule in _telling(table, judged):
        aggregates |= of_row(rule, index, quote(_told(index)))
    for index, name in enumerate(_pruning_columns(table)):
        for side in ("min", "max"):
            aggregates[f"p{index}_{side}"] = as_text(f"{side}(CASE WHEN {_PUBLISHED} THEN {quote(name)} END)")
    return aggregates


def _telling(table: Table, judged: Judged) -> list[tuple[int, Any]]:
    """The rules on rows that reject none, but for those that cannot be worked out."""
    return [
        (index, rule)
        for index, rule in _rules(table, "row")
        if rule.severity != "error" and rule.name not in judged.refused
    ]


def _warned(table: Table, judged: Judged) -> str:
    """Whether a row breaks a rule on rows of severity warning."""
    broken = [quote(_told(index)) for index, rule in _telling(table, judged) if rule.severity == "warning"]
    return f"({' OR '.join(broken)})" if broken else "false"


def _rules(table: Table, scope: str) -> list[tuple[int, Any]]:
    return [(index, rule) for index, rule in enumerate(table.quality.rules) if rule.scope == scope]


def _base(rule: Any) -> str:
    """The rows that a batch rule looks at. Deletions have nothing to look at, but they are rows that came."""
    if rule.kind == "row_count":
        return _WELL_FORMED if rule.of == "all" else _PUBLISHED
    return _JUDGEABLE if rule.of == "all" else _LOOKED_AT


def _has(label: str) -> str:
    """Whether a row was rejected for what `label` says."""
    return f"({_REJECTED} AND array_contains({_BROKEN}, {literal(label)}))"


def _told(index: int) -> str:
    """Under which name it is known whether a row breaks the rule with that `index`, which rejects none."""
    return f"__told_{index}"


def _decide(
    table: Table, rows: RowCounts, rules: list[RuleResult], judged: Judged, passing: int
) -> tuple[list[str], Decision]:
    scopes = {rule.name: rule.scope for rule in table.quality.rules}
    failed = [rule for rule in rules if not rule.passed]
    blocking = [
        f"rule {rule.name}: {rule.message}"
        for rule in failed
        if rule.severity == "error" and (scopes[rule.name] == "batch" or rule.name in judged.refused)
    ]
    limit = table.quality.max_reject_rate
    if limit is not None and rows.reject_rate > limit:
        blocking.append(f"{rows.reject_rate:.2%} of the rows were rejected, allowed {limit:.2%}")
    if blocking:
        return blocking, "block"
    warnings = [f"rule {rule.name}: {rule.message}" for rule in failed if rule.severity == "warning"]
    warnings += _rates(table.quality, rows, passing)
    warnings += [f"the source has no column {name!r}: it is NULL in this batch" for name in judged.missing]
    return warnings, "warn" if warnings else "pass"


def _rates(quality: Quality, rows: RowCounts, passing: int) -> list[str]:
    """What people want to be told of: too many rejected rows, too few that meet every rule."""
    told = []
    if rows.reject_rate > quality.alert_reject_rate:
        told.append(f"{rows.reject_rate:.2%} of the rows were rejected, more than {quality.alert_reject_rate:.2%}")
    judged = rows.read - rows.filtered
    only_rejected = told and passing == judged - rows.rejected
    if judged and passing / judged < quality.min_pass_rate and not only_rejected:
        told.append(f"{passing / judged:.2%} of the rows meet every rule, fewer than {quality.min_pass_rate:.2%}")
    return told


def _rejections(table: Table, judged: Judged, measured: Mapping[str, Any]) -> dict[str, int]:
    found = {label: int(measured[name]) for label, name in _counted(table, judged).items()}
    return {label: count for label, count in found.items() if count}


def _counted(table: Table, judged: Judged) -> dict[str, str]:
    """Under which name it is counted how many rows were rejected for each label: a rule's own, or one for it alone."""
    rules = {rule.name: failing(index) for index, rule in _rules(table, "row") if rule.severity == "error"}
    return {label: rules.get(label, f"c{number}") for number, label in enumerate(_labels(judged))}


def _labels(judged: Judged) -> list[str]:
    """What a row can be rejected for: a rule, with the column that it concerns if there is one."""
    return list(dict.fromkeys(" ".join(filter(None, (check.rule, check.column))) for check in judged.checks))


def _pruning_columns(table: Table) -> list[str]:
    """By which the table's files are told apart, and which are the same in every row of a key."""
    silver = table.silver
    return [name for name in (*silver.partition_by, *silver.cluster_by) if name in silver.keys] if silver else []


def _partition_ranges(table: Table, measured: Mapping[str, Any]) -> tuple[PartitionRange, ...]:
    ranges = []
    for index, name in enumerate(_pruning_columns(table)):
        low, high = measured[f"p{index}_min"], measured[f"p{index}_max"]
        if low is not None and high is not None:
            ranges.append(PartitionRange(column=name, low=low, high=high))
    return tuple(ranges)
