"""Reading gold's SQL without running it."""

from __future__ import annotations

import pytest

from airflow_ingest.lakehouse.gold.query import Origin, origin, with_tables

VIEWS = {"silver.flights": "v1", "gold.daily": "v2"}


@pytest.mark.parametrize(
    ("sql", "spliced"),
    [
        ("SELECT * FROM silver.flights", "SELECT * FROM `v1` AS `flights`"),
        ("SELECT f.x FROM silver.flights f", "SELECT f.x FROM `v1` f"),
        ("SELECT 1 FROM `silver`.`flights` AS f", "SELECT 1 FROM `v1` AS f"),
        (
            "SELECT 'silver.flights' FROM silver.flights JOIN gold.daily d ON true",
            "SELECT 'silver.flights' FROM `v1` AS `flights` JOIN `v2` d ON true",
        ),
        (
            "WITH t AS (SELECT * FROM gold.daily) SELECT * FROM t",
            "WITH t AS (SELECT * FROM `v2` AS `daily`) SELECT * FROM t",
        ),
    ],
    ids=["own name as alias", "alias kept", "quoted", "text in a string stays", "inside a CTE"],
)
def test_tables_are_replaced_in_place(sql: str, spliced: str) -> None:
    assert with_tables(sql, VIEWS) == spliced


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT day, sum(x) s FROM silver.flights GROUP BY day", Origin("silver.flights", "day")),
        ("SELECT f.d AS day FROM silver.flights f JOIN gold.daily g ON f.d = g.d", Origin("silver.flights", "d")),
        ("SELECT * FROM silver.flights", Origin("silver.flights", "day")),
        ("SELECT date_trunc('week', d) AS day FROM silver.flights", None),
        ("SELECT day, sum(x) OVER (ORDER BY day) s FROM silver.flights", None),
        ("SELECT day FROM silver.flights LIMIT 10", None),
        ("SELECT day FROM silver.flights UNION ALL SELECT day FROM gold.daily", None),
        ("SELECT day FROM (SELECT day FROM silver.flights)", None),
        ("SELECT day FROM silver.flights JOIN gold.daily ON true", None),
        ("SELECT day, s FROM silver.flights GROUP BY ROLLUP (day, s)", None),
        ("SELECT f.day FROM silver.flights f JOIN silver.flights g ON f.id = g.id + 1", None),
        ("SELECT f.day FROM silver.flights f WHERE EXISTS (SELECT 1 FROM silver.flights g WHERE g.id = f.next)", None),
        ("SELECT f.day FROM silver.flights f LEFT JOIN gold.daily g ON f.d = g.d", Origin("silver.flights", "day")),
        ("SELECT f.day FROM gold.daily g LEFT JOIN silver.flights f ON f.d = g.d", None),
        ("SELECT f.day FROM silver.flights f FULL JOIN gold.daily g ON f.d = g.d", None),
        ("SELECT f.day FROM silver.flights f RIGHT JOIN gold.daily g ON f.d = g.d", None),
    ],
    ids=[
        "group",
        "join",
        "star",
        "expression",
        "window",
        "limit",
        "union",
        "subquery",
        "ambiguous",
        "rollup",
        "self-join",
        "exists",
        "left of a left join",
        "right of a left join",
        "full join",
        "right join",
    ],
)
def test_a_partition_is_traced_only_where_rows_stay_in_it(sql: str, expected: Origin | None) -> None:
    assert origin(sql, "day") == expected
