from airflow_ingest.factory import load_dags

globals().update(load_dags(__file__))  # every *.yaml beside this file is an Airflow DAG
