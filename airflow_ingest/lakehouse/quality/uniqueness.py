"""Whether rows are unique, asked of a large batch's columns alone before the gate's pass.

Which rows have a twin is known when all of them have been sorted, with all that the gate carries. That none has one is
known when the values have been counted, which is what is expected of a batch that has such a rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from airflow_ingest.config import UniqueRule
from airflow_ingest.lakehouse.sql import quote


def without_twins(rows: DataFrame, rules: Iterable[tuple[int, Any]]) -> frozenset[int]:
    """Which of `rules` (index, rule) ask for unique values in columns in which no two of `rows` agree.

    They hold for any part of the rows. NULLs agree, as in the gate's pass. Rules on columns that `rows` lack are not
    among those found, nor are rules on columns that cannot be compared, or of other kinds.
    """
    known = {name.lower() for name in rows.columns}
    asked = [(index, rule.unique) for index, rule in rules if isinstance(rule, UniqueRule)]
    return frozenset(
        index for index, columns in asked if known.issuperset(map(str.lower, columns)) and not _agree(rows, columns)
    )


def _agree(rows: DataFrame, columns: list[str]) -> bool:
    most = rows.groupBy(*map(quote, columns)).count().agg(F.max("count"))
    try:
        return (most.collect()[0][0] or 0) > 1
    except AnalysisException:
        return True  # the gate's pass says why the rule cannot be worked out
