"""Where and when the figures come from: machine, versions, date, the command. Without it a figure is a rumour."""

import os
import platform
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib import metadata

import plait

from .processes.columns import PACKAGES, PLAIT


def environment(columns: Iterable[str], command: str) -> dict[str, object]:
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "compiler": platform.python_compiler(),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "machine": platform.machine(),
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor() or "unknown processor",
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)),
        # Of the minute before: what else was running when this began.
        "load": round(os.getloadavg()[0], 2),
        "packages": {PLAIT: plait.__version__}
        | {package: _version(package) for column in columns for package in PACKAGES.get(column, ())},
    }


def described(environment: dict[str, object]) -> dict[str, str]:
    """The same in words, by heading."""
    env = environment
    gil = "" if env["gil"] else " without the GIL"
    packages = env["packages"]
    assert isinstance(packages, dict)
    told = {
        "Command": str(env["command"]),
        "Date": str(env["date"]),
        "Versions": ", ".join(
            [f"{env['implementation']} {env['python']}{gil}", *(f"{name} {version}" for name, version in packages.items())]
        ),
        "Machine": f"{env['processor']} ({env['machine']}), {env['usable_cpus']} of {env['cpus']} CPUs usable, "
        f"{env['memory']} of memory",
        "System": f"{env['system']}, load {env['load']} at the start",
    }
    return told | ({"Cores": str(env["cores"])} if "cores" in env else {})


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _memory() -> str:
    total = (_field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]
    return f"{int(total) / 1024**2:.0f} GiB"


def _field(file: str, name: str) -> str | None:
    """The first `name: value` of a file of /proc; processors of some kinds have no model's name there."""
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == name:
                    return value.strip()
    except OSError:
        pass
    return None
