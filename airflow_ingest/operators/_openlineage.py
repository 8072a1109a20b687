"""What a step reads and writes, in OpenLineage's words.

It needs the provider `apache-airflow-providers-openlineage` (the extra `openlineage`), whose listener asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_ingest.operators._lineage import Dataset, Lineage, Name, table_name

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset

    from airflow_ingest.graph.columns import Origin
    from airflow_ingest.lakehouse.model import RuleResult

_ADDED = ("_batch_id", "_ingested_at", "_ingested_by")
_SEVERITIES = {"error": "error", "warning": "warn", "info": "info"}
_HOW = {
    "identity": ("DIRECT", "IDENTITY"),
    "transformation": ("DIRECT", "TRANSFORMATION"),
    "aggregation": ("DIRECT", "AGGREGATION"),
    "filter": ("INDIRECT", "FILTER"),
    "join": ("INDIRECT", "JOIN"),
    "group_by": ("INDIRECT", "GROUP_BY"),
}


def facets(lineage: Lineage | None) -> OperatorLineage[Any, Any]:
    """`lineage` in OpenLineage's words; None is a step that reads and writes nothing. Raises ImportError."""
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.facet_v2 import sql_job, test_run

    if lineage is None:
        return OperatorLineage()
    run: dict[str, Any] = {}
    if lineage.tests:
        run["test"] = test_run.TestRunFacet(
            tests=[
                test_run.TestExecution(
                    name=rule.name,
                    status="pass" if rule.passed else "fail",
                    severity=_SEVERITIES[rule.severity],
                    type=rule.kind,
                    description=rule.message or None,
                    expected=rule.threshold or None,
                    actual=_shown(rule),
                )
                for rule in lineage.tests
            ]
        )
    return OperatorLineage(
        inputs=[_input(dataset) for dataset in lineage.inputs],
        outputs=[_output(dataset, lineage) for dataset in lineage.outputs],
        run_facets=run,
        job_facets={"sql": sql_job.SQLJobFacet(query=lineage.sql, dialect="spark")} if lineage.sql else {},
    )


def _input(dataset: Dataset) -> InputDataset:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import (
        data_quality_assertions_dataset,
        data_quality_metrics_input_dataset,
        input_statistics_input_dataset,
    )

    measured: dict[str, Any] = {}
    if dataset.rows is not None:
        measured["inputStatistics"] = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
            rowCount=dataset.rows, size=dataset.size, fileCount=dataset.files
        )
    if dataset.judged:
        columns = {rule.name: rule.columns for rule in dataset.rules}
        measured["dataQualityMetrics"] = data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
            columnMetrics={}, rowCount=dataset.rows
        )
        measured["dataQualityAssertions"] = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
            assertions=[
                data_quality_assertions_dataset.Assertion(
                    assertion=rule.kind,
                    success=rule.passed,
                    column=_only(columns.get(rule.name, ())),
                    severity=_SEVERITIES[rule.severity],
                    name=rule.name,
                    description=rule.message or None,
                    expected=rule.threshold or None,
                    actual=_shown(rule),
                )
                for rule in dataset.judged
            ]
        )
    return InputDataset(dataset.name.namespace, dataset.name.name, facets=_facets(dataset), inputFacets=measured)


def _output(dataset: Dataset, lineage: Lineage) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import column_lineage_dataset, output_statistics_output_dataset

    found = _facets(dataset)
    if dataset.columns.origins:
        found["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(
            fields={
                column: column_lineage_dataset.Fields(inputFields=_fields(origins, lineage))
                for column, origins in dataset.columns.origins.items()
            },
            dataset=_fields(dataset.columns.rows, lineage),
        )
    written: dict[str, Any] = {}
    if dataset.rows is not None:
        written["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=dataset.rows, size=dataset.size
        )
    return OutputDataset(dataset.name.namespace, dataset.name.name, facets=found, outputFacets=written)


def _facets(dataset: Dataset) -> dict[str, Any]:
    from openlineage.client.facet_v2 import dataset_version_dataset, schema_dataset

    found: dict[str, Any] = {}
    fields = [
        schema_dataset.SchemaDatasetFacetFields(name=name, type=kind or None)
        for name, kind in dataset.columns.types.items()
        if name not in _ADDED
    ]
    if fields:
        found["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
    if dataset.version is not None:
        found["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=str(dataset.version))
    return found


def _fields(origins: Iterable[Origin], lineage: Lineage) -> list[Any]:
    from openlineage.client.facet_v2 import column_lineage_dataset

    by_field: dict[tuple[Name, str], list[Origin]] = {}
    for origin in origins:
        table = lineage.source.get(origin.table) or table_name(lineage.lake, origin.table)
        by_field.setdefault((table, origin.column), []).append(origin)
    return [
        column_lineage_dataset.InputField(
            namespace=table.namespace,
            name=table.name,
            field=column,
            transformations=[
                column_lineage_dataset.Transformation(type=kind, subtype=subtype, masking=origin.masked)
                for origin in found
                for kind, subtype in [_HOW[origin.how]]
            ],
        )
        for (table, column), found in by_field.items()
    ]


def _shown(rule: RuleResult) -> str | None:
    if rule.value is not None:
        return f"{rule.value:g}"
    return None if rule.passed else f"{rule.failing} rows"


def _only(columns: Sequence[str]) -> str | None:
    return columns[0] if len(columns) == 1 else None
