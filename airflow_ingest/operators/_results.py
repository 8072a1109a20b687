"""Results on their way through Airflow: one line for the log, one mapping for XCom and asset events, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any, Literal

from airflow_ingest.config import IngestError

if TYPE_CHECKING:
    from airflow_ingest.lakehouse import Batch, GateOutcome, LoadResult, ReplayResult
    from airflow_ingest.lakehouse.model import RuleResult


_SHOWN = 20


def describe(result: LoadResult) -> str:
    """The load in one line: what, how, how many rows, how long; of gold also a table of its rules."""
    rows = ", ".join(f"{count} {name}" for name, count in result.rows.to_dict().items() if count)
    version = "" if result.version is None else f", version {result.version}"
    rescued = f", {result.rescued} of them with rescued data" if result.rescued else ""
    replaced = f", in place of {result.replaced} rows" if result.replaced else ""
    reason = f" ({result.reason})" if result.reason else ""
    line = (
        f"{result.step} {result.table}{_of(result.batch)}: {result.status}{reason}; "
        f"rows: {rows or 'none'}{rescued}{replaced}{version}; {result.seconds:.1f} s"
    )
    return "\n".join([line, rule_table(result.rules)] if result.rules else [line])


def told_of(result: Mapping[str, Any], rules: Iterable[RuleResult]) -> dict[str, Any]:
    """What an asset event tells of a load's `result`, as `merged` gives it, whose rows were judged by `rules`."""
    return {**{key: value for key, value in result.items() if key != "rules"}, "quality": quality_of(rules)}


def describe_gate(outcome: GateOutcome) -> str:
    """The gate's decision, what did not hold, a table of all rules, and what of the source silver leaves behind."""
    rejected = ", ".join(f"{count} by {rule}" for rule, count in outcome.rejections.items() if count)
    head = (
        f"quality_gate {outcome.table}{_of(outcome.batch)}: {outcome.decision}; {outcome.rows.read} rows read, "
        f"{outcome.rows.rejected} rejected{f' ({rejected})' if rejected else ''}; {outcome.seconds:.1f} s"
    )
    failed = [f"  {rule.severity}: {rule.name}: {rule.message}" for rule in outcome.rules if not rule.passed]
    failed += [f"  {reason}" for reason in outcome.reasons if not reason.startswith("rule ")]
    others = [f"  not used by silver: {_some(outcome.unused)}"] if outcome.unused else []
    return "\n".join([head, *failed, *([rule_table(outcome.rules)] if outcome.rules else []), *others])


def rule_table(rules: Sequence[RuleResult]) -> str:
    """The outcomes of `rules` as a table of plain text, 120 characters wide at most."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.ASCII, header_style="")
    for column in ("rule", "severity", "outcome", "failing", "found", "allowed", "seconds", "for instance"):
        justify: Literal["left", "right"] = "right" if column in ("failing", "found", "seconds") else "left"
        drawn.add_column(column, justify=justify, overflow="fold")
    for rule in rules:
        found = "" if rule.value is None else f"{rule.value:g}"
        told = [rule.name, rule.severity, "holds" if rule.passed else "broken", f"{rule.failing:,}", found]
        drawn.add_row(*map(Text, [*told, rule.threshold, f"{rule.seconds:.1f}", "; ".join(rule.sample)]))
    console = Console(width=120, file=StringIO(), color_system=None)
    console.print(drawn)
    text = console.file.getvalue() if isinstance(console.file, StringIO) else ""
    return "\n".join(line.rstrip() for line in text.splitlines())


def quality_of(rules: Iterable[RuleResult]) -> list[dict[str, Any]]:
    """What asset events tell of `rules`: how each came out, without the rows that break it."""
    told = ("name", "severity", "passed", "failing", "value")
    return [{key: getattr(rule, key) for key in told} for rule in rules]


def describe_replay(result: ReplayResult) -> str:
    """What has become of the letters so far, in one line, and one for every rule that rejects some again."""
    would = "would be " if result.dry_run else ""
    rejected = f"{result.rejected} {would}rejected again"
    waiting = f"; {result.waiting} more are of batches that silver has not" if result.waiting else ""
    head = f"{result.table}: {result.tried} of {result.open} dead letters tried, {result.replayed} {would}replayed, "
    return "\n".join([head + rejected + waiting, *(f"  {n} by {rule}" for rule, n in sorted(result.reasons.items()))])


def merged(results: Sequence[LoadResult]) -> dict[str, Any]:
    """One mapping for the loads of one task: the last one's, rows and seconds added up, each load under `loads`."""
    if len(results) == 1:
        return results[0].to_dict()
    if not results:
        return {}
    first, last = results[0].to_dict(), results[-1].to_dict()
    loads = [result.to_dict() for result in results]
    return {
        **last,
        "watermark_from": first["watermark_from"],
        "rows": {name: sum(load["rows"][name] for load in loads) for name in last["rows"]},
        "seconds": sum(load["seconds"] for load in loads),
        "loads": loads,
    }


def batches_of(value: object) -> tuple[Batch, ...]:
    """The batches that an upstream task hands on: those that `BronzeIngestOperator` says are pending, or a list.

    Of mapped tasks that all name a batch which was left behind, it is taken once. Raises IngestError if `value` is
    neither.
    """
    from airflow_ingest.lakehouse import Batch

    batches: dict[str, Batch] = {}
    for item in _items(value):
        for found in map(Batch.from_dict, _items(item["pending"]) if "pending" in item else [item]):
            known = batches.get(found.id)
            batches[found.id] = found if known is None or found.generation > known.generation else known
    return tuple(sorted(batches.values(), key=lambda batch: (batch.order, batch.generation)))


def passed_of(value: object) -> tuple[tuple[Batch, GateOutcome | None], ...]:
    """The batches to publish: those that `QualityGateOperator` let pass, with its outcome, or ungated batches."""
    if not any("decision" in item for item in _items(value)):
        return tuple((batch, None) for batch in batches_of(value))
    return tuple((outcome.batch, outcome) for outcome in _outcomes(value) if outcome.decision != "block")


def held_of(value: object) -> tuple[GateOutcome, ...]:
    """The outcomes that block their batch, among those that `QualityGateOperator` returned."""
    return tuple(outcome for outcome in _outcomes(value) if outcome.decision == "block")


def _outcomes(value: object) -> tuple[GateOutcome, ...]:
    from airflow_ingest.lakehouse import GateOutcome

    return tuple(GateOutcome.from_dict(item) for item in _items(value))


def _items(value: object) -> Iterable[Mapping[str, Any]]:
    items = [value] if isinstance(value, Mapping) else value
    if isinstance(items, Sequence) and all(isinstance(item, Mapping) for item in items):
        return items
    raise IngestError(
        f"These are not batches: {value!r:.200}. Give the output of a BronzeIngestOperator or a QualityGateOperator, "
        "as in batches=ingest.output."
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _of(batch: Batch | None) -> str:
    if batch is None:
        return ""
    if batch.interval is None:
        return f" [batch {batch.id}]"
    return f" [{batch.interval.start:%Y-%m-%d %H:%M} to {batch.interval.end:%Y-%m-%d %H:%M}, batch {batch.id}]"
