"""Templates of source.files."""

from datetime import datetime, timezone

import pytest

from airflow_ingest.config import TemplateError, interval_variables, render

START = datetime(2013, 1, 5, 6, tzinfo=timezone.utc)
END = datetime(2013, 1, 6, 6, tzinfo=timezone.utc)


def test_interval_variables_are_named_and_written_as_airflows() -> None:
    variables = interval_variables(START, END)
    assert {name: str(value) for name, value in variables.items()} == {
        "ds": "2013-01-05",
        "ds_nodash": "20130105",
        "ts": "2013-01-05T06:00:00+00:00",
        "ts_nodash": "20130105T060000",
        "data_interval_start": "2013-01-05 06:00:00+00:00",
        "data_interval_end": "2013-01-06 06:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("in/{{ ds }}.csv", "in/2013-01-05.csv"),
        ("in/{{ data_interval_start.subtract(days=1).format('YYYY/MM/DD') }}/*", "in/2013/01/04/*"),
        ("in/{{ data_interval_end | ds_nodash }}", "in/20130106"),
        ("plain.csv", "plain.csv"),
        ("{% if ds == '2013-01-05' %}a{% else %}b{% endif %}", "a"),
    ],
)
def test_render(template: str, path: str) -> None:
    assert render(template, START, END) == path


@pytest.mark.parametrize("template", ["{{ params.region }}", "{{ ds", "{{ ().__class__.__base__.__subclasses__() }}"])
def test_what_cannot_be_rendered_without_airflow_says_so(template: str) -> None:
    with pytest.raises(TemplateError, match="Without Airflow a template can use data_interval_end"):
        render(template, START, END)
