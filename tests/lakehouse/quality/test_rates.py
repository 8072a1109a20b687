"""The rates of a batch: from when on people are warned, and from when on it is held."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lakehouse.conftest import Workbench, csv_table

pytestmark = pytest.mark.spark

HEADER = "id,amount,note\n"
SMALL = {"name": "small", "expect": "amount < 10", "severity": "warning"}


def rows(good: int, *, large: int = 0, bad: int = 0) -> str:
    lines = [f"{n},1,x" for n in range(good)]
    lines += [f"{1000 + n},99,x" for n in range(large)] + [f"{2000 + n},y,x" for n in range(bad)]
    return HEADER + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("content", "quality", "decision", "told"),
    [
        pytest.param(rows(95, bad=5), {}, "pass", [], id="at the rates, nobody is warned"),
        pytest.param(
            rows(80, bad=20), {}, "warn", ["20.00% of the rows were rejected, more than 5.00%"], id="told once"
        ),
        pytest.param(
            rows(80, large=20),
            {"rules": [SMALL]},
            "warn",
            [
                "rule small: 20 rows break it",
                "80.00% of the rows meet every rule, fewer than 90.00%",
            ],
            id="many break a warning",
        ),
        pytest.param(
            rows(80, large=20),
            {"rules": [{**SMALL, "severity": "info"}], "min_pass_rate": 1},
            "pass",
            [],
            id="info counts for nothing",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            rows(60, bad=40),
            {"alert_reject_rate": 0.5, "min_pass_rate": 0.6},
            "pass",
            [],
            id="other rates",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            rows(90, bad=10),
            {"max_reject_rate": 0.08},
            "block",
            ["10.00% of the rows were rejected, allowed 8.00%"],
            id="held",
            marks=pytest.mark.slow,
        ),
        pytest.param(HEADER, {"rules": [SMALL]}, "pass", [], id="nothing in an empty batch"),
    ],
)
def test_what_is_said_of_the_rates(
    bench: Workbench, content: str, quality: dict[str, Any], decision: str, told: list[str]
) -> None:
    table = csv_table(quality=quality)
    gate = bench.gate(table, bench.ingest(table, bench.write("x.csv", content)))
    assert (gate.decision, list(gate.reasons)) == (decision, told)
