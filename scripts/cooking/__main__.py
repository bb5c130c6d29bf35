"""Runs the recipes, one after the other, each in a home of its own."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.cooking.kitchen import Kitchen
from scripts.cooking.page import MEDIUM, recipes
from scripts.cooking.table import ROWS, Row
from tests.support.mounting import SAMPLES, dicomfs, force_off, tool_path


def main() -> int:
    """Run the recipes that are named on the command line, else all; return how it went."""
    wanted = sys.argv[1:] or list(ROWS)
    failed = [name for name in wanted if not _runs(name, ROWS[name])]
    return 1 if failed else 0


def _runs(name: str, row: Row) -> bool:
    """Run a recipe, say how it went, and return whether it went well."""
    for program in row.programs:
        if shutil.which(program, path=tool_path()) is None:
            return _say(name, f"not run: there is no {program}")
    commands = recipes()[name].commands
    try:
        with kitchen() as made:
            _run(commands.replace(MEDIUM, str(made.medium)), row, made)
    except AssertionError as error:
        _say(name, f"failed: {error}")
        return False
    return _say(name, "well")


def _run(commands: str, row: Row, made: Kitchen) -> None:
    if row.first:
        with row.server(made):
            done = made.cook(commands)
            assert done.returncode == 0, f"{done.stdout}{done.stderr}"
            row.result(made, done.stdout)
        return
    done = made.cook(commands)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    with row.server(made):
        row.result(made, done.stdout)


@contextmanager
def kitchen() -> Iterator[Kitchen]:
    """Have a home in which the sample medium is mounted, as the page begins."""
    home = Path(tempfile.mkdtemp(prefix="dicomfs-recipes-"))
    place = home / "patients"
    place.mkdir()
    (home / "restic.password").write_text("secret\n", "utf-8")
    try:
        done = dicomfs("mount", SAMPLES, place)
        assert done.returncode == 0, done.stderr
        yield Kitchen(home, SAMPLES, sum(1 for _ in place.rglob("*.dcm")))
    finally:
        force_off(place)
        shutil.rmtree(home)


def _say(name: str, what: str) -> bool:
    sys.stdout.write(f"{name}: {what}\n")
    sys.stdout.flush()
    return True


if __name__ == "__main__":
    sys.exit(main())
