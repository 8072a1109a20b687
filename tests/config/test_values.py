"""Durations, rates and how messages show values."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from airflow_ingest.config import format_duration, format_rate, parse_duration, parse_rate
from airflow_ingest.config.values import nearest, one_of, quote


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400), ("90m", 5400), ("007s", 7)]
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 m", "1.5h", "-5m", "5M", "1h30m", "\u0665m", 5, None, True, [], "0s"]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_duration(text)


@given(st.integers(min_value=1, max_value=10**9).map(lambda seconds: timedelta(seconds=seconds)))
def test_a_duration_survives_being_written(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.integers(min_value=1, max_value=10**5), st.sampled_from("smhd"))
def test_writing_a_duration_never_makes_it_longer(amount: int, unit: str) -> None:
    assert len(format_duration(parse_duration(f"{amount}{unit}"))) <= len(f"{amount}{unit}")


@pytest.mark.parametrize(
    ("written", "rate"), [("5%", 0.05), ("0.05", 0.05), (0.05, 0.05), ("0.1 %", 0.001), (0, 0.0), (1, 1.0), ("100%", 1)]
)
def test_rates(written: object, rate: float) -> None:
    assert parse_rate(written) == rate


@pytest.mark.parametrize("written", ["", "%", "5", 5, "101%", -0.1, "-1%", "nan", True, None, [], "5%%"])
def test_what_is_no_rate(written: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_rate(written)


@given(st.floats(min_value=0, max_value=1))
def test_a_rate_survives_being_written(rate: float) -> None:
    assert parse_rate(format_rate(rate)) == rate


@given(st.integers(min_value=0, max_value=1000))
def test_a_percentage_is_written_as_it_was_read(tenths: int) -> None:
    text = f"{tenths / 10:.10g}%"
    assert format_rate(parse_rate(text)) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a", '"a"'), (5, "5"), (True, "true"), (None, "nothing"), ({}, "a mapping"), ([], "a list"), ("x" * 99, None)],
)
def test_messages_show_values_shortly(value: object, shown: str | None) -> None:
    assert quote(value) == (shown or f'"{"x" * 57}..."')


def test_words_of_a_sentence() -> None:
    assert one_of(["a"]) == "a"
    assert one_of(["a", "b", "c"]) == "a, b or c"
    assert nearest("Kyes", ["keys", "columns"]) == 'Did you mean "keys"?'
    assert nearest("zzz", ["keys", "columns"]) == ""
