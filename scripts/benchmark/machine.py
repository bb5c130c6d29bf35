"""What the machine is, as far as it explains the figures."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_TOOLS = {
    "bindfs": ["bindfs", "--version"],
    "dcmtk": ["dcmdump", "--version"],
    "strace": ["strace", "--version"],
    "fuse3": ["fusermount3", "--version"],
}


def facts(folder: Path) -> dict[str, object]:
    """Return the machine, the versions and the date; media will lie in *folder*."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpus": os.cpu_count(),
            "cpu": _cpu(),
            "memory_gib": round(_memory() / 2**30, 1),
            "architecture": platform.machine(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "root": os.getuid() == 0,
            "load_at_start": os.getloadavg()[0],
            "file_system": file_system(folder),
        },
        "versions": {
            **{name: _package(name) for name in ("dicomfs", "pydicom", "pyfuse3")},
            "trio": _package("trio"),
            **{name: _tool(command) for name, command in _TOOLS.items()},
        },
    }


def file_system(folder: Path) -> str:
    """Return the kind of file system that *folder* lies on."""
    columns = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target"]
    return _run([*columns, str(folder)]).strip() or "unknown"


def _cpu() -> str:
    found = re.search(
        r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE
    )
    return found[1] if found else "unknown"


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _tool(command: list[str]) -> str:
    found = re.search(r"\d+(\.\d+)+", _run(command))
    return found[0] if found else "not installed"


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout or done.stderr
