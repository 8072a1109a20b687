"""`new`: a commented starter pipeline."""

from pathlib import Path

from airflow_ingest.cli.console import results
from airflow_ingest.cli.starter import Format, starter
from airflow_ingest.config import IngestError, parse_pipeline

__all__ = ["write_starter"]


def write_starter(name: str, file_format: Format, directory: Path) -> Path:
    """Write `<directory>/<name>.yaml` and say what to do next. Returns its path.

    Raises IngestError if the file exists or its folder does not, ConfigError if `name` cannot name a pipeline.
    """
    path = directory / f"{name}.yaml"
    text = starter(name, file_format)
    parse_pipeline(text, file=str(path))
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise IngestError(f"{path} exists already; it is left as it is. Choose another name or --directory.") from error
    except OSError as error:
        raise IngestError(f"{path} cannot be written: {error.strerror}. Choose another --directory.") from error
    results().print(
        f"Wrote {path}.\n"
        "Next:\n"
        f"  1. Say in it where the files are, what their columns are and which of them are the key.\n"
        f"  2. airflow-ingest validate {path}\n"
        f"  3. airflow-ingest run {path} --interval 2024-01-01   (any day whose file is there)\n"
        "  4. Put it beside the loader in your dags folder: Airflow shows it as a DAG.",
        markup=False,
    )
    return path
