"""The one error of the runtime: Spark cannot be had, and this is what to do about it."""

from airflow_ingest.config import IngestError


class RuntimeProblem(IngestError):
    """Spark cannot be started or reached.

    `problem` says what is wrong and where, `remedy` what the reader can do; `str()` gives both.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}\n{remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy
