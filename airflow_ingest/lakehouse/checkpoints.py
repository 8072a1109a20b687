"""Frames worked out once, whose plan begins with what they are."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame


def checkpointed(frame: DataFrame) -> DataFrame:
    """`frame`, worked out now and kept by Spark's workers for as long as something refers to it.

    pyspark 4.2's client takes the thread's active session for what a checkpoint gives back, so the frame's own session
    is made that for the moment: a thread may have several.
    """
    own: Any = frame.sparkSession
    active = getattr(type(own), "_active_session", None)  # of Spark Connect alone
    before = getattr(active, "session", None)
    if active is None or before is own:
        return frame.localCheckpoint()
    active.session = own
    try:
        return frame.localCheckpoint()
    finally:
        active.session = before
