"""Gives dicomfs another version: in its code and in its CHANGELOG.

scripts/release calls this, commits what it changes, and tags that.
"""

import datetime
import re
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_MODULE: Final = "dicomfs/__init__.py"
_CHANGES: Final = "CHANGELOG.md"
_UNRELEASED: Final = "## Unreleased\n"
_VERSION: Final = re.compile(r'^__version__ = "(.*)"$', re.MULTILINE)


class VersionError(Exception):
    """This version cannot be given; the text says why."""


def main() -> None:
    """Give dicomfs the version that is named on the command line."""
    try:
        release(ROOT, sys.argv[1], datetime.datetime.now(datetime.UTC).date())
    except VersionError as refused:
        sys.exit(f"scripts/release: error: {refused}")


def release(root: Path, version: str, day: datetime.date) -> None:
    """Give the clone in *root* this *version*, and its changes so far the *day*.

    Raises VersionError, and then has changed nothing.
    """
    module, changes = root / _MODULE, root / _CHANGES
    code = released_code(module.read_text("utf-8"), version)
    text = released_changes(changes.read_text("utf-8"), version, day)
    module.write_text(code, "utf-8")
    changes.write_text(text, "utf-8")


def released_code(code: str, version: str) -> str:
    """Return *code* with this *version* in place of its own, which has to be lower."""
    found = _VERSION.search(code)
    if found is None:
        raise VersionError(f"{_MODULE} has no version")
    if _order(version) <= _order(found[1]):
        raise VersionError(f"{version} does not come after {found[1]}")
    return _VERSION.sub(f'__version__ = "{version}"', code)


def released_changes(text: str, version: str, day: datetime.date) -> str:
    """Return *text* with what is unreleased in it as the changes of *version*."""
    if text.count(_UNRELEASED) != 1:
        raise VersionError(f"{_CHANGES} has to have one heading: {_UNRELEASED.strip()}")
    before, after = text.split(_UNRELEASED)
    if not re.search(r"^- ", after.partition("\n## ")[0], re.MULTILINE):
        raise VersionError(f"{_CHANGES} says nothing below {_UNRELEASED.strip()}")
    return f"{before}{_UNRELEASED}\n## {version} - {day.isoformat()}\n{after}"


def _order(version: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise VersionError(
            f"{version} is no version: it takes three numbers, such as 0.2.0"
        )
    return tuple(map(int, version.split(".")))


if __name__ == "__main__":
    main()
