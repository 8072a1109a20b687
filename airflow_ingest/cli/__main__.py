"""`python -m airflow_ingest.cli`."""

from airflow_ingest.cli import main

main(program="python -m airflow_ingest.cli")
