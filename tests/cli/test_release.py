"""`release` and `discard`: held batches are listed, and what is decided about them is what the next run does."""

import re
from pathlib import Path

import pytest

from tests.cli.commands import ids, invoke, write_shop

PIPELINE = """\
pipeline: shop
schedule: "@daily"
start_date: 2024-01-01
lake: ./lake
tables:
  orders:
    source: {files: "landing/{{ ds }}.csv", format: csv, options: {header: true}}
    silver: {columns: {id: int}, keys: [id]}
    quality: {rules: [{row_count: {min: 2}}]}
gold:
  total: {sql: SELECT count(*) AS n FROM silver.orders, load: overwrite}
"""


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_shop(PIPELINE, {"01": "id\n1\n", "02": "id\n2\n", "03": "id\n3\n30\n"})


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_what_is_released_is_merged_at_once_and_what_is_discarded_by_no_run() -> None:
    held = invoke("run", "shop.yaml", "-i", "2024-01-01..2024-01-02", "--live")
    assert held.exit_code == 1
    listed = invoke("release", "shop.yaml", "orders").stdout.splitlines()
    assert len(listed) == 2
    first, second = (re.match(r"batch (\w+) of 2024-01-0\d is held: rule row_count: 1 rows", line) for line in listed)
    assert first
    assert second
    assert first[1] in held.output
    released = invoke("release", "shop.yaml", "orders", first[1], "--reason", "a quiet day")
    assert released.stdout.splitlines() == [
        f"batch {first[1]} of 2024-01-01 is released and in silver: 1 read, 1 inserted",
        "gold.total: loaded",
    ]
    assert ids() == [1]
    assert "is discarded" in invoke("discard", "shop.yaml", "orders", second[1], "--reason", "a test").stdout
    again = invoke("release", "shop.yaml", "orders", second[1], "--reason", "a mistake")
    assert again.exit_code == 1
    assert "is not held. Held now: none." in again.output
    assert invoke("run", "shop.yaml", "-i", "2024-01-03", "--live").exit_code == 0
    assert ids() == [1, 3, 30]
    assert invoke("release", "shop.yaml", "orders").stdout == "no batch of orders is held\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["order", "b"], "order: the pipeline 'shop' has no such table with a silver. Did you mean 'orders'?"),
        (["orders", "b"], "orders: say why, for those who look at it later: --reason TEXT."),
    ],
)
def test_mistakes_are_told_before_spark_is_started(arguments: list[str], told: str) -> None:
    found = invoke("release", "shop.yaml", *arguments)
    assert found.exit_code == 1
    assert told in " ".join(found.output.split())
