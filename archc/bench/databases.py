"""Databases: where those of a task lie, and what their tables are."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

_NAME = re.compile(r"\w[\w.-]*")


def database_path(pattern: str, name: str, folder: Path | None) -> Path | None:
    """The file of a database; None for a name that could lead elsewhere."""
    if not _NAME.fullmatch(name):
        return None
    return (folder or Path()) / pattern.replace("{database}", name)


@cache
def schema_of(path: Path) -> str:
    """The statements that made a database; nothing if it is none."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
            return "\n".join(str(sql) for (sql,) in rows)
    except sqlite3.Error:
        return ""
