"""What the models cannot see one value at a time: combinations, references, SQL, and what is not served yet.

The checks read the plain data, not the models: so they find everything that is wrong in one go, even where a value
elsewhere does not validate, and they skip without a word what the models complain about.
"""

from airflow_ingest.config.checks.gold import check_gold
from airflow_ingest.config.checks.pipeline import check_pipeline
from airflow_ingest.config.checks.table import check_table

__all__ = ["check_gold", "check_pipeline", "check_table"]
