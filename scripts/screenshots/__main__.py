"""The command line of the screenshots; see ``scripts/desktop --help``."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from scripts.benchmark.mounts import Mount, Mounts, ordinary_user
from scripts.benchmark.processes import BenchError
from scripts.screenshots import disc
from scripts.screenshots.desktop import (
    FILE_MANAGERS,
    DesktopError,
    FileManager,
    Size,
    screen,
)

_WHO: Final = "jane"


def main() -> int:
    """Mount the disc, and take a screenshot of each series in each file manager."""
    given = _parser().parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dicomfs-desktop-") as name:
        folder = Path(name)
        # Who looks at it is not root.
        folder.chmod(0o755)
        disc.write(folder / "medium")
        user, home = ordinary_user(), folder / _WHO
        home.mkdir()
        user.owns(home)
        try:
            with Mounts(home).dicomfs(
                folder / "medium", user=user, options=given.option, name="patients"
            ) as mount:
                for manager in FILE_MANAGERS:
                    if manager.name in given.only or not given.only:
                        _show(mount, manager, folder / manager.name, given)
        except (BenchError, DesktopError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


def _show(
    mount: Mount, manager: FileManager, states: Path, given: argparse.Namespace
) -> None:
    """Let *manager* show each series; what it keeps goes to a folder below *states*."""
    for series in disc.SERIES:
        state = states / series[:3]
        state.mkdir(parents=True)
        picture = given.folder / f"{manager.name}-{series[:3]}.png"
        home, size = mount.place.parent, Size(*given.size)
        with screen(home, state, mount.user, size) as seen:
            place = mount.place / disc.STUDY / series
            seconds = seen.show(manager, place, picture)
        kept = len([*state.rglob("thumbnails/*/*.png")])
        sys.stdout.write(f"{picture}: {seconds:.1f} s, {kept} pictures kept\n")


def _size(text: str) -> list[int]:
    width, height = map(int, text.split("x"))
    return [width, height]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/desktop",
        description="Let file managers show a mount of public sample images, and take "
        "screenshots of them. Say how long it took until all was shown, and how many "
        "pictures the file manager has kept on the disk.",
    )
    parser.add_argument("folder", type=Path, help="where the screenshots go")
    names = [each.name for each in FILE_MANAGERS]
    parser.add_argument(
        "--only", action="append", default=[], choices=names, help="only this one"
    )
    parser.add_argument(
        "--size", type=_size, default=[1000, 640], help="of the screen: 1000x640"
    )
    parser.add_argument(
        "--option", action="append", default=[], help="an option for dicomfs mount"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
