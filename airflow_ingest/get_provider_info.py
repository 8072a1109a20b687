"""What Airflow is told of this package."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's description, in the form that `airflow/provider_info.schema.json` asks for."""
    name = "Airflow Ingest"
    return {
        "package-name": "airflow-ingest",
        "name": name,
        "description": "One YAML file becomes one DAG: bronze, silver and gold tables on Spark and Delta Lake.",
        "integrations": [{"integration-name": name, "external-doc-url": "https://delta.io/", "tags": ["software"]}],
        "operators": [
            {
                "integration-name": name,
                "python-modules": [
                    f"airflow_ingest.operators.{module}"
                    for module in (
                        "alerts",
                        "bronze",
                        "by_hand",
                        "dlq",
                        "gate",
                        "gold",
                        "maintenance",
                        "profile",
                        "runs",
                        "silver",
                    )
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": name,
                "python-modules": [
                    f"airflow_ingest.sensors.{module}"
                    for module in ("asset", "delta", "source_file", "sql", "upstream")
                ],
            }
        ],
        "triggers": [{"integration-name": name, "python-modules": ["airflow_ingest.triggers.condition"]}],
        "bundles": [{"integration-name": name, "python-modules": ["airflow_ingest.bundles.pipeline"]}],
        "hooks": [{"integration-name": name, "python-modules": ["airflow_ingest.hooks.spark_delta"]}],
        "extra-links": ["airflow_ingest.operators.links.QualityReportLink"],
        "cli": ["airflow_ingest.cli.definition.get_ingest_cli_commands"],
    }
