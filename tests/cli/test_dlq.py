"""`dlq`: rejected rows are listed, shown, replayed with a fix and discarded; gold follows."""

import json
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
    source: {files: "landing/{{ ds }}.csv", format: csv}
    silver: {columns: {id: int, amount: int}, keys: [id]}
    quality: {rules: [{name: positive, expect: "amount > 0"}]}
  log:
    source: {files: "landing/log.csv", format: csv}
    silver: {load: append}
gold:
  total: {sql: SELECT sum(amount) AS amount FROM silver.orders, load: overwrite}
  copy: {sql: SELECT amount FROM gold.total, load: overwrite}
  other: {sql: SELECT count(*) AS n FROM silver.log, load: overwrite}
"""


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_shop(PIPELINE, {"01": "id,amount\n1,10\n2,2O\n3,3O\n4,-4\n"})


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_rejected_rows_come_back_with_a_fix_and_gold_follows() -> None:
    loaded = invoke("run", "shop.yaml", "-i", "2024-01-01", "-t", "orders", "-t", "total", "-t", "copy")
    assert loaded.exit_code == 0, loaded.output
    counts = json.loads(invoke("dlq", "list", "shop.yaml", "--json").stdout)["orders"]
    assert [(count["rule"], count["letters"]) for count in counts] == [("positive", 3), ("cast", 2)]

    fix = ("--fix", "amount=replace(amount, 'O', '0')")
    replayed = invoke("dlq", "replay", "shop.yaml", "orders", "--batch-size", "2", *fix)

    assert replayed.exit_code == 1, "a row was rejected again"
    assert replayed.stdout.splitlines() == [
        "orders: 3 of 3 dead letters tried, 2 replayed, 1 rejected again",
        "  1 by positive",
        "gold.total: loaded",
        "gold.copy: loaded",
    ]
    assert "orders: 2 of 3 tried" in replayed.stderr
    assert ids() == [1, 2, 3]
    assert ids("lake/gold/copy") == [60]
    (letter,) = json.loads(invoke("dlq", "list", "shop.yaml", "orders", "--json").stdout)
    shown = invoke("dlq", "show", "shop.yaml", "orders", letter["id"][:9]).stdout
    assert '{"id":"4","amount":"-4"}' in shown
    assert "positive: breaks expect(amount > 0)" in shown
    discarded = invoke("dlq", "discard", "shop.yaml", "orders", "--reason", "a refund", answer="y\n")
    assert "1 are discarded" in discarded.stdout
    assert "no dead letter of orders that is open" in invoke("dlq", "replay", "shop.yaml", "orders").stdout
    lost = invoke("dlq", "replay", "shop.yaml", "orders", "--resume", "nobody")
    assert "--resume nobody: no such replay has tried a letter of orders" in lost.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["replay", "shop.yaml", "order"], "Did you mean 'orders'?"),
        (["replay", "shop.yaml", "log"], "tables.log is loaded by `load: append`, so a replayed row cannot find"),
        (["replay", "shop.yaml", "orders", "--fix", "amount"], "--fix 'amount' is not understood. Write COLUMN=SQL"),
        (["replay", "shop.yaml", "orders", "--fix", "amount=1 +"], "--fix amount: not valid SQL"),
        (["replay", "shop.yaml", "orders", "--since", "2999-01-01"], "lies ahead: no row was rejected since then"),
        (["list", "shop.yaml", "orders", "--since", "today"], "--since 'today' is not understood"),
        (["list", "shop.yaml", "--rule", "cast"], "Name the table whose letters you mean: orders, log."),
        (["discard", "shop.yaml", "orders"], "orders: say why, for those who look at them later: --reason TEXT."),
    ],
)
def test_mistakes_are_told_before_spark_is_started(arguments: list[str], told: str) -> None:
    found = invoke("dlq", *arguments)
    assert found.exit_code == 1
    assert told in " ".join(found.output.split())
