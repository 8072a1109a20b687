"""One step of a day of flights by hand, as `spark-submit` runs it: `submitted.py STEP LAKE LANDING DAY`.

The step `nothing` asks for one row, and writes when it had it into the file that LAKE names.
"""

from __future__ import annotations

import sys
import time
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

sys.path.insert(0, str(Path(__file__).parents[1]))


def main(step: str, lake: str, landing: str, day: date) -> None:
    """Run one of the four steps in a session of its own."""
    from benchmarks import by_hand

    spark = SparkSession.builder.getOrCreate()
    batch = f"by-hand-{day}"
    if step == "nothing":
        spark.sql("SELECT 1").collect()
        Path(lake).write_text(str(time.time()))
    elif step == "bronze":
        by_hand.load_bronze(spark, lake, landing, day, batch)
    elif step == "silver":
        by_hand.load_silver(spark, lake, day, batch)
    elif step == "daily":
        by_hand.load_daily(spark, lake, day)
    else:
        by_hand.load_weekly(spark, lake, day)
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], date.fromisoformat(sys.argv[4]))
