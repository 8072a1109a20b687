"""What maintenance found and did, as plain values."""

from __future__ import annotations

from typing import Literal

from airflow_ingest.lakehouse.model import Value

MaintenanceStatus = Literal["maintained", "left alone", "next time", "failed"]


class LayoutPlan(Value):
    """What OPTIMIZE would do with a table; nothing if there is a `reason` to leave its files alone.

    - `layout`: what the files are to be like, such as `sorted by carrier`
    - `files`, `bytes`: what the table has now; `file_bytes`: how large its files are to become
    - `statements`: the SQL, in order
    """

    layout: str = "larger files"
    reason: str = ""
    files: int = 0
    bytes: int = 0
    file_bytes: int = 0
    statements: tuple[str, ...] = ()


class LayoutDone(Value):
    """What OPTIMIZE did: the table's files and bytes after it, and the version that it made, if it made one."""

    files: int
    bytes: int
    version: int | None = None


class Vacuumed(Value):
    """What VACUUM removed; `files` is None where Delta does not tell. A `reason` says why there was nothing to do."""

    reason: str = ""
    files: int | None = 0
    retain_hours: float = 0.0
    version: int | None = None


class Maintained(Value):
    """What maintenance did with one table.

    - `status`: `next time` where a load came first; `failed`, which only who maintains several tables says
    - `layout`: what its files are like now; `reason`: why they, or the files of the past, were left alone
    - `files_before` … `bytes_after`: the files that hold the table's rows
    - `removed_files`: files of older versions that VACUUM deleted; None where Delta does not tell
    - `forgotten`: rows that were kept for as long as they had to be
    - `version`: the table's newest version
    - `statements`: what a dry run would execute
    """

    table: str
    status: MaintenanceStatus = "left alone"
    layout: str = ""
    reason: str = ""
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    removed_files: int | None = 0
    forgotten: int = 0
    version: int | None = None
    dry_run: bool = False
    statements: tuple[str, ...] = ()
    seconds: float = 0.0
