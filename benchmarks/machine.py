"""What a run ran on, without saying where: CPU, cores, memory, file system, Python and library versions."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["describe"]

LIBRARIES = (
    "numpy",
    "pandas",
    "pyarrow",
    "polars",
    "fastavro",
    "xxhash",
    "pluggy",
    "filelock",
    "joblib",
    "diskcache",
    "cachier",
    "kedro",
    "kedro-datasets",
)


def describe(folder: str) -> dict[str, Any]:
    """Return it as JSON data. ``folder`` is where the workloads write."""
    return {
        "cpu": _first(r"model name\s*:\s*(.*)", "/proc/cpuinfo") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(_first(r"MemTotal:\s*(\d+)", "/proc/meminfo") or 0) / 1e6) or None,
        "file_system": _file_system(folder),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "code": _code(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "optimised_build": "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
    }


def _first(pattern: str, path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = re.search(pattern, file.read())
    except OSError:
        return None
    return found[1].strip() if found else None


def _file_system(folder: str) -> str | None:
    try:
        shown = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return shown.stdout.strip()


def _code() -> str:
    """Return which persistable is measured, down to the last commit that changed it or a plugin, if that is known."""
    measured = ("persistable", "plugins")
    here = {"cwd": Path(__file__).parent.parent, "capture_output": True, "text": True, "check": True}
    commands = (["git", "log", "-1", "--format=%h", "--", *measured], ["git", "status", "--porcelain", *measured])
    try:
        commit, changes = (subprocess.run(command, **here).stdout.strip() for command in commands)  # type: ignore[call-overload]
    except (OSError, subprocess.CalledProcessError):
        return _version("persistable") or ""
    return f"{_version('persistable')} at {commit}{', changed' if changes else ''}"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
