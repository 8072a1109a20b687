"""What is masked lands nowhere in the clear: not in bronze, not in silver, not in a dead letter."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from airflow_ingest.config import Table
from airflow_ingest.lakehouse import SchemaMismatch, replay_dlq
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark

TABLE = csv_table(
    {
        "columns": {
            "id": "int",
            "mail": {"from": "Mail", "type": "string", "mask": "sha256"},
            "phone": {"type": "string", "mask": "partial"},
            "name": {"mask": "redact"},
            "amount": "int",
        },
        "sequence_by": [],
    },
    quality={"rules": [{"name": "small", "expect": "amount < 100"}], "max_reject_rate": "100%"},
)
SECRETS = ("ann@example.com", "bob@example.com", "+41 44 123 45 67", "Ann Example", "1234567")
FILE = (
    "id,Mail,phone,name,amount\n"
    "1,ann@example.com,+41 44 123 45 67,Ann Example,5\n"
    "2,bob@example.com,1234567,,500\n"
    "3,ann@example.com,,Ann Example,6,too,many\n"
    "4,,12,,7\n"
    "5,Example, Ann,ann@example.com,8,9\n"
)


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def test_masked_values_are_hidden_in_every_table_and_their_digests_still_join(bench: Workbench) -> None:
    loaded = bench.load(TABLE, bench.write("1.csv", FILE))
    assert (loaded.rows.inserted, loaded.rows.rejected) == (2, 3)
    assert bench.rows(bench.lake.silver("orders"), "id", "mail", "phone", "name") == [
        (1, digest("ann@example.com"), "************5 67", "***"),
        (4, None, "**", None),
    ]
    lines = ("3,ann@example.com,,Ann Example,6,too,many", "5,Example, Ann,ann@example.com,8,9")
    withheld = [
        f"withheld, since the table has masked columns: {len(line)} characters, sha256 {digest(line)}" for line in lines
    ]
    assert bench.reasons() == sorted(
        [("malformed", None, f"malformed line: {line}") for line in withheld]
        + [("small", None, "breaks expect(amount < 100)")]
    )
    replayed = replay_dlq(
        bench.spark, bench.lake, "orders", TABLE, run(1), rule="small", fix={"amount": "9", "Mail": "'bob@example.com'"}
    )
    assert replayed.replayed == 1
    assert (2, digest("bob@example.com")) in bench.rows(bench.lake.silver("orders"), "id", "mail")
    assert in_the_clear(Path(bench.lake.root)) == []


@pytest.mark.slow
def test_a_batch_without_the_masked_column_fails_before_anything_is_written(bench: Workbench) -> None:
    with pytest.raises(SchemaMismatch, match="the source has no column 'mail', which is masked"):
        bench.ingest(TABLE, bench.write("1.csv", "id,e-mail,phone,name,amount\n1,ann@example.com,,,5\n"))
    assert in_the_clear(Path(bench.lake.root)) == []


def test_a_batch_of_malformed_lines_alone_is_withheld_too(bench: Workbench) -> None:
    silver = TABLE.silver.model_dump(exclude_unset=True, by_alias=True) if TABLE.silver else {}
    table = Table.model_validate({"source": {"files": "unused", "format": "json"}, "silver": silver})
    loaded = bench.ingest(table, bench.write("1.json", '{"id": 1, "Mail": "ann@example.com", "name": "Ann Exa'))
    bench.gate(table, loaded)
    assert loaded.rows.read == 1
    assert in_the_clear(Path(bench.lake.root)) == []


def in_the_clear(folder: Path) -> list[tuple[str, str]]:
    """Which secrets stand where in the files of a lake; Parquet keeps short texts as they are."""
    contents = {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    return [(name, secret) for name, content in contents.items() for secret in SECRETS if secret.encode() in content]
