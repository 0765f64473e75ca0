"""Moved: a spec whose paths of other specs are right in another folder."""

from __future__ import annotations

import os.path
from dataclasses import replace
from pathlib import Path

from archc.spec.located import Entry, Leaf, Listing, Located, Table


def moved(value: Located, here: Path, there: Path) -> Located:
    """The same with the paths of other specs as they are from another folder."""
    match value:
        case Listing(items=items):
            return replace(value, items=tuple([moved(item, here, there) for item in items]))
        case Table(entries=entries):
            return replace(value, entries=tuple([_entry(entry, here, there) for entry in entries]))
    return value


def _entry(entry: Entry, here: Path, there: Path) -> Entry:
    match entry.key, entry.value:
        case "use", Leaf(value=str() as name) as leaf:
            return replace(entry, value=replace(leaf, value=os.path.relpath(here / name, there)))
        case "use", Table() as table if isinstance(spec := table.get("spec"), Entry):
            path = _entry(replace(spec, key="use"), here, there)
            rest = (replace(path, key="spec") if e is spec else _entry(e, here, there) for e in table)
            return replace(entry, value=replace(table, entries=tuple(rest)))
    return replace(entry, value=moved(entry.value, here, there))
