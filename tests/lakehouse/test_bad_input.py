"""Files that are not what they should be: never silently wrong, never a crash without a message, nothing lost."""

from __future__ import annotations

import gzip
import random

import pytest

from airflow_ingest.config import Table
from airflow_ingest.lakehouse import SchemaMismatch, SourceNotFound, SourceUnreadable
from tests.lakehouse.conftest import Workbench, csv_table

pytestmark = pytest.mark.spark


def test_a_missing_file_is_reported_with_the_path_looked_for(bench: Workbench) -> None:
    missing = str(bench.landing / "2026-01-01.csv")
    with pytest.raises(SourceNotFound, match=r"2026-01-01\.csv"):
        bench.ingest(csv_table(), missing)


@pytest.mark.parametrize("content", ["", "id,amount,note\n"], ids=["empty file", "header only"])
def test_a_file_without_rows_is_an_empty_batch(bench: Workbench, content: str) -> None:
    result = bench.load(csv_table(), bench.write("x.csv", content))
    assert (result.rows.read, result.rows.inserted) == (0, 0)
    assert bench.rows(bench.lake.silver("orders")) == []


@pytest.mark.slow
def test_an_empty_file_on_a_later_day_leaves_the_table_as_it_is(bench: Workbench) -> None:
    bench.load(csv_table(), bench.write("a.csv", "id,amount,note\n1,2,x\n"), day=1)
    bench.load(csv_table(), bench.write("b.csv", ""), day=2)
    assert bench.rows(bench.lake.silver("orders")) == [(1, 2, "x")]


@pytest.mark.slow
def test_a_reordered_header_is_followed(bench: Workbench) -> None:
    bench.load(csv_table(), bench.write("x.csv", "note,id,amount\nhello,1,20\n"))
    assert bench.rows(bench.lake.silver("orders")) == [(1, 20, "hello")]


def test_files_of_one_batch_may_have_different_headers(bench: Workbench) -> None:
    bench.write("x.csv", "id,amount,note\n1,10,a\n")
    bench.write("y.csv", "note,amount,id\nb,20,2\n")
    bench.write("z.csv", "id,amount\n3,30\n")
    result = bench.load(csv_table(), str(bench.landing / "*.csv"))
    assert bench.rows(bench.lake.silver("orders")) == [(1, 10, "a"), (2, 20, "b"), (3, 30, None)]
    assert result.rows.read == 3


def test_a_header_without_the_key_stops_before_silver(bench: Workbench) -> None:
    loaded = bench.ingest(csv_table(), bench.write("x.csv", "identifier,amount,note\n1,2,a\n"))
    with pytest.raises(SchemaMismatch) as error:
        bench.gate(csv_table(), loaded)
    assert "'id', which silver.columns.id reads" in str(error.value)
    assert "It has: identifier, amount, note" in str(error.value)


@pytest.mark.slow
def test_a_header_without_another_column_warns_and_gives_null(bench: Workbench) -> None:
    gate = bench.gate(csv_table(), bench.ingest(csv_table(), bench.write("x.csv", "id,amount,remark\n1,2,a\n")))
    assert gate.decision == "warn"
    assert gate.reasons == ("the source has no column 'note': it is NULL in this batch",)


@pytest.mark.slow
def test_enforced_bronze_needs_every_column_that_silver_reads(bench: Workbench) -> None:
    table = csv_table(bronze={"schema": "enforce"})
    loaded = bench.ingest(table, bench.write("x.csv", "id,amount,remark\n1,2,a\n"))
    with pytest.raises(SchemaMismatch, match="'note'"):
        bench.gate(table, loaded)


def test_enforced_bronze_lists_added_and_missing_columns_and_writes_nothing(bench: Workbench) -> None:
    table = csv_table(bronze={"schema": "enforce"})
    bench.ingest(table, bench.write("a.csv", "id,amount,note\n1,2,a\n"), day=1)
    with pytest.raises(SchemaMismatch) as error:
        bench.ingest(table, bench.write("b.csv", "id,amount,remark\n2,2,a\n"), day=2)
    assert "added: remark (string); missing: note (string)" in str(error.value)
    assert len(bench.rows(bench.lake.bronze("orders"), "id")) == 1


def test_lines_with_too_few_or_too_many_fields_go_to_the_dlq_whole(bench: Workbench) -> None:
    content = "id,amount,note\n1,10,a\n2,20\n3,30,c,extra\n4,40,d\n"
    result = bench.load(csv_table(), bench.write("x.csv", content))
    assert bench.rows(bench.lake.silver("orders"), "id") == [(1,), (4,)]
    assert (result.rows.read, result.rows.rejected, result.rows.inserted) == (4, 2, 2)
    assert bench.rows(bench.lake.dlq("orders"), "raw") == [("2,20",), ("3,30,c,extra",)]


@pytest.mark.slow
def test_a_truncated_gzip_gives_the_rows_before_the_break_and_a_dead_letter(bench: Workbench) -> None:
    noise = random.Random(1)
    lines = [f"{i},{i},{noise.getrandbits(256):064x}" for i in range(20_000)]
    whole = gzip.compress(("id,amount,note\n" + "\n".join(lines)).encode())
    result = bench.load(csv_table(), bench.write("x.csv.gz", whole[: len(whole) // 2]))
    assert 1_000 < result.rows.inserted < 20_000
    assert result.rows.rejected == 1
    [(rule, _, message)] = bench.reasons()
    assert rule == "malformed"
    assert message.startswith("unreadable file: ")


@pytest.mark.slow
def test_a_file_that_is_no_gzip_at_all_is_one_dead_letter(bench: Workbench) -> None:
    bench.write("good.csv", "id,amount,note\n1,10,a\n")
    bench.write("bad.csv.gz", b"this is not gzip")
    result = bench.load(csv_table(), str(bench.landing / "*"))
    assert (result.rows.inserted, result.rows.rejected) == (1, 1)


def test_rows_in_another_encoding_go_to_the_dlq_and_the_rest_is_loaded(bench: Workbench) -> None:
    result = bench.load(csv_table(), bench.write("x.csv", "id,amount,note\n1,10,café\n2,20,plain\n".encode("latin-1")))
    assert bench.rows(bench.lake.silver("orders"), "id") == [(2,)]
    assert result.rows.rejected == 1
    assert "options.encoding" in bench.reasons()[0][2]


@pytest.mark.slow
def test_a_header_in_another_encoding_is_refused_with_the_remedy(bench: Workbench) -> None:
    with pytest.raises(SourceUnreadable, match=r"options: \{encoding: ISO-8859-1\}"):
        bench.ingest(csv_table(), bench.write("x.csv", "id,amount,café\n1,10,x\n".encode("latin-1")))


@pytest.mark.slow
def test_a_declared_encoding_is_followed(bench: Workbench) -> None:
    source = {"files": "x", "format": "csv", "options": {"encoding": "ISO-8859-1"}}
    bench.load(csv_table(source=source), bench.write("x.csv", "id,amount,note\n1,10,café\n".encode("latin-1")))
    assert bench.rows(bench.lake.silver("orders"), "note") == [("café",)]


@pytest.mark.slow
def test_a_byte_order_mark_is_not_part_of_the_first_name(bench: Workbench) -> None:
    bench.load(csv_table(), bench.write("x.csv", b"\xef\xbb\xbfid,amount,note\n1,10,a\n"))
    assert bench.rows(bench.lake.silver("orders"), "id") == [(1,)]


@pytest.mark.slow
def test_quotes_are_doubled_as_rfc_4180_says(bench: Workbench) -> None:
    bench.load(csv_table(), bench.write("x.csv", 'id,amount,note\n1,10,"say ""hi"", ok"\n'))
    assert bench.rows(bench.lake.silver("orders"), "note") == [('say "hi", ok',)]


def test_a_path_with_glob_characters_and_spaces_is_one_file(bench: Workbench) -> None:
    bench.write("a [1]*/x+y %20.csv", "id,amount,note\n1,10,a\n")
    bench.load(csv_table(), str(bench.landing / "a [1]*" / "x+y %20.csv"))
    [(source,)] = bench.rows(bench.lake.bronze("orders"), "_source_file")
    assert source.endswith("/a [1]*/x+y %20.csv")


def test_names_with_spaces_dots_quotes_and_backticks_work(bench: Workbench) -> None:
    header = 'the id,a.b,"say ""x""",tick`s'
    silver = {
        "columns": {
            "the id": "int",
            "a.b": "string",
            'say "x"': "string",
            "tick`s": {"expr": "upper(`tick``s`)"},
        },
        "keys": ["the id"],
        "sequence_by": [],
        "partition_by": ["a.b"],
    }
    table = csv_table(silver, quality={"rules": [{"null_rate": {"column": "a.b", "max": 0}}, {"unique": ["the id"]}]})
    bench.load(table, bench.write("x.csv", f"{header}\n1,d,q,t\n"))
    result = bench.load(table, bench.write("y.csv", f"{header}\n1,d,q,u\n2,e,q,t\n"), day=2)
    assert (result.rows.updated, result.rows.inserted) == (1, 1)
    assert bench.rows(bench.lake.silver("orders")) == [(1, "d", "q", "U"), (2, "e", "q", "T")]


def test_a_source_column_with_a_reserved_name_is_refused(bench: Workbench) -> None:
    with pytest.raises(SchemaMismatch, match="_batch_id"):
        bench.ingest(csv_table(), bench.write("x.csv", "id,amount,_batch_id\n1,2,3\n"))


def json_table() -> Table:
    return csv_table(source={"files": "x", "format": "json"})


def test_json_leaves_stay_as_they_came_and_broken_lines_go_to_the_dlq(bench: Workbench) -> None:
    lines = '{"id": 1, "amount": 1.50, "note": "a"}\n{"id": 2, "amount": 2\nnot json\n{"id": "3", "amount": 3}\n'
    loaded = bench.ingest(json_table(), bench.write("x.json", lines))
    assert ("1", "1.50") in bench.rows(bench.lake.bronze("orders"), "id", "amount")
    gate = bench.gate(json_table(), loaded)
    assert gate.rejections == {"malformed": 2, "cast amount": 1}
    assert bench.rows(bench.lake.dlq("orders"), "raw") == [("not json",), ('{"id": 2, "amount": 2',), (None,)]


@pytest.mark.slow
def test_json_with_no_good_line_at_all_is_rejected_whole(bench: Workbench) -> None:
    loaded = bench.ingest(json_table(), bench.write("x.json", "oops\n{nope\n"))
    assert loaded.rows.read == 2
    assert bench.gate(json_table(), loaded).rows.rejected == 2


@pytest.mark.slow
def test_parquet_keeps_its_types(bench: Workbench) -> None:
    folder = str(bench.landing / "p")
    bench.spark.sql("SELECT 1 AS id, 2 AS amount, 'x' AS note").write.parquet(folder)
    table = csv_table(source={"files": "x", "format": "parquet"})
    bench.load(table, folder)
    assert bench.rows(bench.lake.bronze("orders"), "id", "amount") == [(1, 2)]
    assert bench.rows(bench.lake.silver("orders")) == [(1, 2, "x")]


@pytest.mark.slow
def test_a_broken_parquet_file_is_one_dead_letter(bench: Workbench) -> None:
    bench.spark.sql("SELECT 1 AS id, 2 AS amount, 'x' AS note").write.parquet(str(bench.landing / "p"))
    bench.write("p/broken.parquet", b"PAR1 no footer here")
    table = csv_table(source={"files": "x", "format": "parquet"})
    result = bench.load(table, str(bench.landing / "p"))
    assert (result.rows.inserted, result.rows.rejected) == (1, 1)
