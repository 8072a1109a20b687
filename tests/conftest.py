pytest_plugins = ["airflow_ingest.testing.airflow_home", "airflow_ingest.testing.spark", "tests.postgres"]
