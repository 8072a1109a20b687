"""`quality`: the trend of rules on a terminal and as a page."""

import json
from pathlib import Path

import pytest

from airflow_ingest.cli.quality import sparkline
from tests.cli.commands import invoke, write_shop

PIPELINE = """\
pipeline: shop
schedule: "@daily"
start_date: 2024-01-01
lake: ./lake
tables:
  orders:
    source: {files: "landing/{{ ds }}.csv", format: csv}
    silver: {columns: {id: int, amount: int, card: {type: string, mask: redact}}, keys: [id]}
    quality:
      rules:
        - {name: small, expect: "amount < 100", severity: warning}
        - {name: no card, expect: "card IS NULL", severity: info}
        - {unique: [amount], severity: warning}
        - {row_count: {min: 2}}
"""


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_the_trend_of_rules_with_a_sample_of_what_breaks_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    days = {"01": "1,10,4111\n2,20,\n", "02": "3,500,\n4,500,\n5,700,\n6,1,\n", "03": "7,5,\n"}
    write_shop(PIPELINE, {day: f"id,amount,card\n{rows}" for day, rows in days.items()})
    assert invoke("run", "shop.yaml", "-i", "2024-01-01..2024-01-03").exit_code == 1

    found = invoke("quality", "shop.yaml", "--json")

    assert found.exit_code == 1, "the newest batch breaks an error"
    rules = {rule["rule"]: rule for rule in json.loads(found.stdout)}
    small, unique = rules["small"]["points"], rules["unique(amount)"]["points"]
    assert [(point["passed"], point["failing"]) for point in small] == [(True, 0), (False, 3), (True, 0)]
    assert sorted(small[1]["sample"]) == ["500", "700"]
    assert (unique[1]["sample"], unique[1]["value"]) == (["500"], 2.0)
    assert rules["no card"]["points"][0]["sample"] == ["***"]
    assert [point["value"] for point in rules["row_count"]["points"]] == [2.0, 4.0, 1.0]
    page = invoke("quality", "shop.yaml", "orders", "--html", "report.html", "--runs", "2")
    assert "█▁" in page.stdout
    assert "small" in Path("report.html").read_text()
    assert "4111" not in found.stdout + page.stdout + Path("report.html").read_text()

    Path("shop.yaml").write_text(PIPELINE.partition("    quality:")[0])
    none = invoke("quality", "shop.yaml")
    lost = invoke("quality", "shop.yaml", "--html", "nowhere/report.html")
    assert (lost.exit_code, "nowhere/report.html cannot be written: No such file" in lost.output) == (1, True)
    assert (none.exit_code, none.stdout) == (0, "no rule of shop has judged a batch yet\n"), (
        "the table has no rules now"
    )


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([1, 2, 3], "▁▅█"), ([5, 5], "▁▁"), ([None, None], "  "), ([0.0, None, 1.0], "▁ █")],
)
def test_a_sparkline_has_a_bar_for_each_value(values: list[float | None], bars: str) -> None:
    assert sparkline(values) == bars
