"""What Spark hides where it describes a plan: a reader's password, as the text of a Spark Connect plan has it."""

import re

from google.protobuf import text_format  # type: ignore[import-untyped]
from pyspark.sql.connect.proto import Relation

from airflow_ingest.runtime.launch import SESSION_DEFAULTS


def test_a_password_is_hidden_in_the_text_of_a_plan() -> None:
    plan = Relation()
    options = {"password": 's3"cr\\et', "url": "jdbc:x://me:geheim@db", "user": "me", "dbtable": "orders"}
    plan.read.data_source.options.update(options)
    text = text_format.MessageToString(plan)
    assert "cr" in text
    shown = re.sub(SESSION_DEFAULTS["spark.sql.redaction.string.regex"], "***", text)
    assert "cr" not in shown
    assert "geheim" not in shown
    assert '"me"' in shown
    assert '"orders"' in shown
