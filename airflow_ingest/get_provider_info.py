from typing import Any


def get_provider_info() -> dict[str, Any]:
    return {"package-name": "airflow-ingest", "name": "Ingest", "description": "x", "versions": ["0.1.0"]}
