"""A release has its version everywhere, or nothing is changed: see scripts/release."""

import datetime
from pathlib import Path
from typing import Final

import pytest

from dicomfs import __version__
from scripts.releasing import VersionError, release, released_changes, released_code
from tests.support.mounting import ROOT

DAY: Final = datetime.date(2026, 12, 1)
CHANGES: Final = "# Changelog\n\n## Unreleased\n\n### Added\n\n- This.\n"


def a_clone(root: Path, changes: str) -> Path:
    (root / "dicomfs").mkdir()
    (root / "dicomfs/__init__.py").write_text('__version__ = "0.1.0"\n')
    (root / "CHANGELOG.md").write_text(changes)
    return root


def test_a_release_has_its_version_in_the_code_and_its_day_in_the_changes(
    tmp_path: Path,
) -> None:
    root = a_clone(tmp_path, CHANGES)

    release(root, "0.2.0", DAY)

    assert (root / "dicomfs/__init__.py").read_text() == '__version__ = "0.2.0"\n'
    assert (root / "CHANGELOG.md").read_text() == (
        "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-12-01\n\n### Added\n\n- This.\n"
    )


@pytest.mark.parametrize(
    "changes", ["# Changelog\n", "## Unreleased\n\n## 0.1.0\n\n- That.\n"]
)
def test_a_release_without_changes_changes_nothing(
    tmp_path: Path, changes: str
) -> None:
    root = a_clone(tmp_path, changes)

    with pytest.raises(VersionError):
        release(root, "0.2.0", DAY)

    assert (root / "dicomfs/__init__.py").read_text() == '__version__ = "0.1.0"\n'
    assert (root / "CHANGELOG.md").read_text() == changes


@pytest.mark.parametrize(
    "version", ["0.9.10", "0.10.0", "v0.11.0", "0.11", "0.11.0rc1"]
)
def test_a_version_comes_after_the_last_one_and_has_three_numbers(version: str) -> None:
    with pytest.raises(VersionError):
        released_code('__version__ = "0.10.0"\n', version)


def test_what_is_in_the_clone_can_be_released() -> None:
    code = (ROOT / "dicomfs/__init__.py").read_text("utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    # Just after a release there would be nothing.
    changes = changes.replace("## Unreleased\n", "## Unreleased\n\n- This.\n")

    assert f'"{__version__}"' not in released_code(code, "99.0.0")
    assert "## 99.0.0 - 2026-12-01" in released_changes(changes, "99.0.0", DAY)
