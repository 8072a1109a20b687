"""Gold: one SELECT or aggregation, or days; its inputs, and how it is loaded."""

from __future__ import annotations

import re
from typing import Any

from airflow_ingest.config.checks.dimensions import check_dimensional, made_columns
from airflow_ingest.config.checks.lake import Lake, table_problem
from airflow_ingest.config.checks.names import (
    Names,
    check_clustering,
    check_expression,
    check_list,
    quote_part,
    report_sql,
)
from airflow_ingest.config.checks.rules import RATES, check_rules, each_rule
from airflow_ingest.config.dates import DATE_COLUMNS
from airflow_ingest.config.gold import Gold
from airflow_ingest.config.report import Report, block, is_absent, texts
from airflow_ingest.config.sql import Query, has_aggregate, parse_query
from airflow_ingest.config.values import KeyPath, one_of, quote

_KINDS = ("sql", "aggregate", "dates")


def check_gold(gold: dict[str, Any], at: KeyPath, report: Report, lake: Lake | None) -> None:
    """Check one gold table's plain data.

    :param lake: the tables that it may read, such as `silver.flights`, and their columns; None if not known.
    """
    kinds = [kind for kind in _KINDS if gold.get(kind) is not None]
    if not kinds and gold.keys() <= Gold.model_fields.keys():
        report.add(at, f"says nothing of its rows: it needs exactly one of {one_of(_KINDS)}", at_key=True)
    elif len(kinds) > 1:
        report.add(at, f"has {one_of(kinds, 'and')}", "Keep exactly one.", at_key=True)
    if isinstance(gold.get("sql"), str):
        _check_sql(gold["sql"], (*at, "sql"), report, lake)
    if isinstance(gold.get("aggregate"), dict):
        _check_aggregate(gold["aggregate"], (*at, "aggregate"), report, lake)
    what = f"gold.{at[-1]}" if at else "gold"
    check_dimensional(gold, at, report, lake, _query_columns(gold, what))
    columns = gold_columns(gold, what)
    for key in ("keys", "partition_by", "cluster_by"):
        check_list(gold, key, at, report, columns)
    check_list(block(gold, "optimize"), "zorder_by", (*at, "optimize"), report, columns)
    check_clustering(gold, at, report)
    _check_order(gold, at, report)
    _check_load(gold, at, report)
    check_rules(block(gold, "quality"), (*at, "quality"), report, columns)
    for index, rule in each_rule(block(gold, "quality").get("rules")):
        if rule.get("relationships") is not None:
            hint = "Join that table in the query, and expect that it has a row."
            path = (*at, "quality", "rules", index, "relationships")
            report.add(path, "relationships is for the rules of tables, not of gold", hint, at_key=True)
    for key in RATES:
        if block(gold, "quality").get(key) is not None:
            hint = "Gold rejects no rows: its rules hold the whole result."
            report.add((*at, "quality", key), f"{key} has no use in gold", hint, at_key=True)


def gold_columns(gold: dict[str, Any], what: str) -> Names | None:
    """The columns of a gold table, or None where its query does not say."""
    columns = _query_columns(gold, what)
    return None if columns is None else Names((*columns.names, *(name for name, _ in made_columns(gold))), what)


def _query_columns(gold: dict[str, Any], what: str) -> Names | None:
    sql, aggregate = gold.get("sql"), block(gold, "aggregate")
    if isinstance(sql, str):
        columns = parse_query(sql).columns
        return Names(columns, what) if columns else None
    if block(gold, "dates"):
        return Names(DATE_COLUMNS, what)
    over = block(aggregate, "over").get("order_by")
    names = [name for _, name in texts(aggregate, "by")] + ([over] if isinstance(over, str) else [])
    names += block(aggregate, "measures")
    return Names(names, what) if names else None


def gold_inputs(gold: dict[str, Any]) -> tuple[str, ...]:
    """The tables that a gold table reads, as far as its plain data is sound."""
    dimensions = block(gold, "dimensions")
    read = [block(gold, "aggregate").get("from"), *(block(dimensions, name).get("table") for name in dimensions)]
    queried = parse_query(gold["sql"]).tables if isinstance(gold.get("sql"), str) else ()
    return (*queried, *(table for table in read if isinstance(table, str)))


def _check_sql(text: str, path: KeyPath, report: Report, lake: Lake | None) -> None:
    query: Query = parse_query(text)
    report_sql(query.problems, text, path, report)
    for name, offset in dict(reversed(query.places)).items():
        if problem := table_problem(name, lake):
            shown = problem[0].replace(quote(name), quote_part(name, text))
            report.add_sql(path, text, offset, shown, problem[1])
    if not query.problems and not query.places:
        report.add(path, "reads no table of the lake", "Write FROM silver.<table> or gold.<table>.")


def _check_aggregate(aggregate: dict[str, Any], path: KeyPath, report: Report, lake: Lake | None) -> None:
    source = aggregate.get("from")
    columns: Names | None = None
    if isinstance(source, str):
        if problem := table_problem(source, lake):
            report.add((*path, "from"), *problem)
        columns = (lake or {}).get(source)
    check_list(aggregate, "by", path, report, columns)
    over = block(aggregate, "over")
    if isinstance(over.get("order_by"), str) and columns is not None:
        columns.check(over["order_by"], (*path, "over", "order_by"), report)
    taken = {name.casefold() for _, name in texts(aggregate, "by")}
    measures = block(aggregate, "measures")
    for name, text in measures.items():
        at = (*path, "measures")
        if name.casefold() in taken:
            report.add((*at, name), f"{quote(name)} is a column of `by` already", "Choose another name.", at_key=True)
        expression = check_expression(measures, name, at, report, columns, aggregate=True)
        if expression is not None and not has_aggregate(text):
            report.add((*at, name), f"{quote(text)} does not aggregate", "Write sum(…), count(*), avg(…), max(…).")
        if over and isinstance(text, str):
            _check_rolling(text, (*at, name), report)


def _check_rolling(text: str, path: KeyPath, report: Report) -> None:
    """Refuse the aggregates that Spark does not take over a window."""
    if re.search(r"\(\s*distinct\b", text, re.IGNORECASE):
        hint = "Use approx_count_distinct(…), or size(collect_set(…))."
        report.add(path, "Spark cannot count distinct values over a rolling window", hint)
    if re.search(r"\bwithin\s+group\b", text, re.IGNORECASE):
        report.add(path, "WITHIN GROUP has no place in a rolling window", "Use percentile_approx(…).")


def _check_load(gold: dict[str, Any], at: KeyPath, report: Report) -> None:
    load = gold.get("load", "overwrite")
    path = (*at, "load")
    if load in ("replace", "merge") and block(gold, "dates"):
        hint = "Remove it: the days are written as a whole, once."
        report.add(path, f"load: {load} has no use with dates", hint)
    if load == "merge" and is_absent(gold, "keys", Gold):
        report.add(path, "load: merge needs keys", "Name the columns that identify a row, or use overwrite or replace.")
    if load in ("overwrite", "replace") and gold.get("keys"):
        hint = "Remove them, or use load: merge."
        report.add((*at, "keys"), f"keys have no use with load: {load}", hint, at_key=True)
    if load == "replace" and is_absent(gold, "partition_by", Gold):
        hint = "Name the partitions' columns, or use load: overwrite."
        report.add(path, "load: replace needs partition_by", hint)


def _check_order(gold: dict[str, Any], at: KeyPath, report: Report) -> None:
    """Check that files are sorted by columns that Delta can sort them by."""
    optimize = block(gold, "optimize")
    if optimize.get("zorder_by") and gold.get("cluster_by"):
        hint = "Keep cluster_by, or partition_by with zorder_by."
        report.add((*at, "optimize", "zorder_by"), "zorder_by stands in the place of cluster_by", hint, at_key=True)
    partitions = {name.casefold() for _, name in texts(gold, "partition_by")}
    for index, name in texts(optimize, "zorder_by"):
        if name.casefold() in partitions:
            problem = f"{quote(name)} is a column of partition_by: files hold one value of it each"
            report.add((*at, "optimize", "zorder_by", index), problem, "Sort by another column.")
