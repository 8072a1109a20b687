"""`circuit`: whether a pipeline's runs are let through, and letting them through again."""

import json
from pathlib import Path

from airflow_ingest.cli.by_hand import run_by_hand
from airflow_ingest.cli.console import notes, results
from airflow_ingest.cli.lake import working
from airflow_ingest.config import IngestError, load_pipeline

__all__ = ["show_circuit"]


def show_circuit(file: Path, *, reset: bool, reason: str, remote: str | None, as_json: bool) -> int:
    """Print the state of the circuit breaker of the pipeline in `file`, after closing it if `reset`. Returns 0.

    Raises ConfigError, IngestError without a breaker or, for a reset, a reason, RuntimeProblem for Spark.
    """
    from airflow_ingest.lakehouse import describe_circuit, read_circuit, reset_circuit

    pipeline = load_pipeline(file)
    breaker = pipeline.circuit_breaker
    if breaker is None:
        hint = "Give it one: circuit_breaker: {failures: 3, reset_after: 30m}."
        raise IngestError(f"{pipeline.pipeline} has no circuit breaker. {hint}")
    if reset and not reason.strip():
        raise IngestError("Say why, for those who look at it later: --reset --reason TEXT.")
    with working(pipeline, remote) as (spark, lake), notes().status("Looking …"):
        if reset:
            reset_circuit(spark, lake, run_by_hand(pipeline, "reset").run_id, reason)
        found = read_circuit(spark, lake, breaker)
    if as_json:
        results().print(json.dumps(found.to_dict(), indent=2), markup=False)
    else:
        results().print(f"{pipeline.pipeline}: {describe_circuit(found, breaker)}", markup=False)
    return 0
