"""What the language has and this version does not serve yet: the one list that checks and the reference go by."""

from __future__ import annotations

from typing import Any

from airflow_ingest.config.report import Report
from airflow_ingest.config.values import KeyPath, one_of, quote, words

UNSERVED_KEYS = {
    "Pipeline": words("sla alerts circuit_breaker"),
    "Table": words("sla"),
    "Source": words("rest kafka"),
}
UNSERVED_RULES = words("duplicate_rate relationships freshness drift sql")
UNSERVED_VALUES = {
    ("Gold", "load"): words("merge"),
}
SERVED_VALUES = {
    ("Gold", "load"): ("overwrite", "replace"),
}


def check_served(model: str, block: dict[str, Any], at: KeyPath, report: Report) -> None:
    """Report each key of a block, plain data of the model so named, that has a value and is not served yet."""
    for key in sorted(UNSERVED_KEYS[model] & block.keys()):
        if block[key] not in (None, [], {}):
            report.unserved((*at, key), quote(key))


def check_served_value(model: str, key: str, value: object, path: KeyPath, report: Report) -> None:
    """Report a value of a key that is a word of the language and not served yet."""
    if isinstance(value, str) and value in UNSERVED_VALUES[model, key]:
        report.unserved(path, f"{key}: {value}", f"Served: {one_of(SERVED_VALUES[model, key])}.")
