"""Say what protection this machine gives for code that models write, which versions are there, and where things lie."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import typer

import archc.sandbox.walls as walls
from archc import api, keys
from archc.backends.weights import FILE_BYTES, weights_path
from archc.cli._options import AsJson
from archc.diagnostics import RunError
from archc.sandbox.pool import Sandbox

app = typer.Typer()

_PACKAGES = "archc apsw pydantic xllamacpp uvloop"


@app.command("doctor")
def doctor(as_json: AsJson = False) -> int:
    """Say what protection this machine gives, which versions are there, and where things lie.

    The exit code is 1 if code that models write can't be run safely here.
    """
    tried = {wall: asyncio.run(_tried(wall)) for wall in walls.WALLS}
    says: dict[str, Any] = next((t for t in tried.values() if t["works"]), {})
    weights = weights_path()
    facts = {
        "safe": bool(says),
        "sandbox": {wall: t["works"] or t["problem"] for wall, t in tried.items()},
        "uses": next((wall for wall, t in tried.items() if t["works"]), None),
        "bwrap": walls.bubblewrap() or None,
        "landlock": says.get("landlock"),
        "seccomp": bool(says),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "root": hasattr(os, "geteuid") and os.geteuid() == 0,
        "python": sys.version.split()[0],
        "versions": {name: _version(name) for name in _PACKAGES.split()},
        "journal": str(api.default_journal()),
        "cache": str(weights.parent.parent),
        "config": str(keys.config_path(os.environ)),
        "embedded_model": weights.is_file() and weights.stat().st_size == FILE_BYTES,
    }
    print(json.dumps({"ok": bool(says), **facts})) if as_json else _print(facts)
    return 0 if says else 1


async def _tried(wall: walls.Wall) -> dict[str, Any]:
    """Whether a wall holds against a program that tries it."""
    sandbox = Sandbox(1, wall)
    try:
        async with sandbox:
            return {"works": True, **sandbox.says}
    except RunError as error:
        return {"works": False, "problem": error.diagnostic.headline.partition("here: ")[2]}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _print(facts: dict[str, Any]) -> None:
    print(f"code that models write: {'can be run' if facts['safe'] else 'can NOT be run safely here'}")
    for wall, state in facts["sandbox"].items():
        used = " (used)" if wall == facts["uses"] else ""
        print(f"    {wall:<14} {'works' + used if state is True else state}")
    print(f"    {'landlock ABI':<14} {facts['landlock'] or 'not known'}")
    print(f"    {'seccomp':<14} {'works' if facts['seccomp'] else 'not known'}")
    print(f"system: {facts['system']} {facts['architecture']}{', as root' if facts['root'] else ''}")
    print(
        "versions: python " + ", ".join([facts["python"], *(f"{n} {v or '-'}" for n, v in facts["versions"].items())])
    )
    for name in ("journal", "cache", "config"):
        print(f"{name}: {facts[name]}")
    print(f"embedded model: {'fetched' if facts['embedded_model'] else 'not fetched yet'}")
