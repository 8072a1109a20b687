"""An Airflow with those that it talks to, which all tests of this folder share."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from airflow_ingest.runtime import ServerStatus
from tests.live.conftest import Office, running
from tests.mailbox import mailbox
from tests.packets import udp_server
from tests.postgres import Postgres


@pytest.fixture(scope="package")
def office(
    tmp_path_factory: pytest.TempPathFactory, spark_server: ServerStatus, postgres: Postgres
) -> Iterator[Office]:
    """An Airflow on Postgres that runs what is due, with a mail server, a StatsD server and a file for OpenLineage."""
    folder = tmp_path_factory.mktemp("office")
    events = folder / "events.ndjson"
    transport = {"type": "file", "log_file_path": str(events), "append": True}
    with mailbox() as box, udp_server() as (port, packets):
        env = {
            "AIRFLOW_CONN_SMTP_DEFAULT": box.connection(),
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_PORT": str(port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        }
        with running(folder, env=env, database=postgres.database(folder.name), parallelism=4) as site:
            yield Office(site, box, packets, events)
