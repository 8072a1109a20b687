"""Spark sessions for threads that work side by side."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from airflow_ingest.runtime import Endpoint, get_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Sessions"]

Item = TypeVar("Item")
Found = TypeVar("Found")


class Sessions:
    """Sessions with the same settings, each used by one thread at a time and used again by the next."""

    def __init__(self, endpoint: Endpoint, conf: dict[str, str]) -> None:
        self._endpoint = endpoint
        self._conf = conf
        self._lock = threading.Lock()
        self._all: list[SparkSession] = []
        self._idle: list[SparkSession] = []

    @contextmanager
    def borrow(self) -> Iterator["SparkSession"]:
        """A session for the length of a `with` block. Raises RuntimeProblem if Spark cannot be had."""
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is None:
            session = get_session(self._endpoint, self._conf)
            with self._lock:
                self._all.append(session)
        try:
            yield session
        finally:
            with self._lock:
                self._idle.append(session)

    def each(
        self, look: "Callable[[SparkSession, Item], Found]", items: Iterable[Item], *, workers: int
    ) -> list[Found]:
        """What `look` finds of each item, several side by side."""

        def work(item: Item) -> Found:
            with self.borrow() as spark:
                return look(spark, item)

        with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="airflow-ingest") as pool:
            try:
                return list(pool.map(work, items))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.interrupt()
                raise

    def interrupt(self) -> None:
        """Stop whatever runs in them."""
        for session in list(self._all):
            with suppress(Exception):
                session.interruptAll()

    def close(self) -> None:
        """End them; the server goes on."""
        for session in self._all:
            with suppress(Exception):
                session.stop()
