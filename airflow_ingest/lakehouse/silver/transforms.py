"""`silver.transform`: a function of the user's own over bronze's well-formed rows, DataFrame → DataFrame, first of all.

It gets the source's columns as bronze has them, and the columns `PASSED_ON`, which it has to pass on: they say of every
row which batch it is of and what it was made from, so that it can be ordered, rejected and replayed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from airflow_ingest.lakehouse.bronze import BATCH_ID, BATCH_ORDER, RECORD_HASH
from airflow_ingest.lakehouse.errors import TransformError
from airflow_ingest.lakehouse.sources.base import CORRUPT_RECORD, SOURCE_FILE
from airflow_ingest.lakehouse.spark_errors import brief
from airflow_ingest.lakehouse.sql import quote

SOURCE_ROW = "_source_row"
PASSED_ON = (BATCH_ID, BATCH_ORDER, RECORD_HASH, SOURCE_FILE, SOURCE_ROW)


def transformed(rows: DataFrame, transform: str, source: Sequence[str], carry: Sequence[str]) -> DataFrame:
    """`rows` of bronze, those that are well formed put through the function that `transform` names (`module:function`).

    `source` are the source's columns, `carry` further ones to pass on. What comes back has the function's columns,
    `PASSED_ON`, `carry` and `_corrupt_record`. Raises TransformError if there is no such function, or it fails, or it
    does not pass those columns on.
    """
    function = _load(transform)
    rows, passed_on = with_source_rows(rows, source, carry)
    try:
        result = function(well_formed(rows).select(*(F.col(quote(name)) for name in (*source, *passed_on))))
        columns = result.columns if isinstance(result, DataFrame) else None
    except Exception as error:
        raise TransformError(f"silver.transform: {transform} failed: {type(error).__name__}: {brief(error)}") from error
    if not isinstance(result, DataFrame) or columns is None:
        raise TransformError(f"silver.transform: {transform} returned {type(result).__name__}, not a DataFrame.")
    if lost := [name for name in passed_on if name not in columns]:
        raise TransformError(
            f"silver.transform: the result of {transform} lacks {', '.join(lost)}. Pass on every column that begins "
            "with an underscore: they say what each row was made from."
        )
    return beside_malformed(result, rows, passed_on)


def with_source_rows(rows: DataFrame, source: Sequence[str], carry: Sequence[str]) -> tuple[DataFrame, list[str]]:
    """`rows` of bronze, each with what it came as, and the columns that what is made of them has to have too."""
    original = F.struct(*(F.col(quote(name)) for name in (*source, CORRUPT_RECORD)))
    return rows.withColumn(SOURCE_ROW, original), [*PASSED_ON, *carry]


def well_formed(rows: DataFrame) -> DataFrame:
    """Those of `rows` that could be parsed."""
    return rows.where(F.col(CORRUPT_RECORD).isNull())


def beside_malformed(made: DataFrame, rows: DataFrame, passed_on: Sequence[str]) -> DataFrame:
    """What was `made` of `rows`, and those of them that could not be parsed."""
    whole = made.withColumn(CORRUPT_RECORD, F.lit(None).cast("string"))
    malformed = rows.where(F.col(CORRUPT_RECORD).isNotNull()).select(*passed_on, CORRUPT_RECORD)
    return whole.unionByName(malformed, allowMissingColumns=True)


def _load(transform: str) -> Callable[[DataFrame], Any]:
    module, _, name = transform.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise TransformError(
            f"silver.transform: {transform} cannot be imported: {error}. Install its package where the tasks "
            "run, or put its module into the dags folder (for the command line: beside the pipeline's file)."
        ) from error
    except AttributeError:
        raise TransformError(f"silver.transform: the module {module!r} has no function {name!r}.") from None
    if not callable(function):
        raise TransformError(f"silver.transform: {transform} is no function.")
    return function  # type: ignore[no-any-return]
