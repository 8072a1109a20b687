"""`dates` → SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_ingest.config.gold import Dates

DATE_COLUMNS: Mapping[str, str] = {
    "date_key": "year(date) * 10000 + month(date) * 100 + day(date)",
    "date": "date",
    "year": "year(date)",
    "quarter": "quarter(date)",
    "month": "month(date)",
    "month_name": "date_format(date, 'MMMM')",
    "iso_year": "extract(YEAROFWEEK FROM date)",
    "iso_week": "weekofyear(date)",
    "day": "day(date)",
    "day_of_year": "dayofyear(date)",
    "day_of_week": "weekday(date) + 1",
    "day_name": "date_format(date, 'EEEE')",
    "is_weekend": "weekday(date) >= 5",
    "is_month_start": "day(date) = 1",
    "is_month_end": "date = last_day(date)",
    "is_quarter_start": "date = trunc(date, 'QUARTER')",
    "is_quarter_end": "date = last_day(add_months(trunc(date, 'QUARTER'), 2))",
    "is_year_start": "dayofyear(date) = 1",
    "is_year_end": "month(date) = 12 AND day(date) = 31",
}
"""The columns of a date dimension, each as Spark's SQL over its `date`."""


def to_sql(dates: Dates) -> str:
    """Write a date dimension as one Spark SQL SELECT: a row for each day from the first to the last."""
    columns = ",\n  ".join(f"{sql} AS `{name}`" for name, sql in DATE_COLUMNS.items())
    days = f"sequence(DATE'{dates.from_.isoformat()}', DATE'{dates.to.isoformat()}')"
    return f"SELECT\n  {columns}\nFROM (SELECT explode({days}) AS date)"
