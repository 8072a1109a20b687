"""One YAML file becomes one Airflow DAG that carries data through bronze, silver and gold on Spark and Delta Lake."""

__version__ = "0.1.0"
