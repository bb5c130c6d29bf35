"""``dicomfs list``: which media are mounted, and where."""

import argparse
import json
import os
import pwd
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from dicomfs.cli import output
from dicomfs.cli.codes import Exit
from dicomfs.cli.terminal import say
from dicomfs.media.mountinfo import Mount, mounts
from dicomfs.mount import mountpoint
from dicomfs.printable import printable

SCHEMA: Final = 1

# In the options of a mount of FUSE.
_USER: Final = re.compile(r"\buser_id=(\d+)")
_HEAD: Final = ("USER", "SOURCE", "MOUNTPOINT")


class Row(NamedTuple):
    """A mount: who made it of what and where, and whether its process has ended."""

    user: str
    source: str
    mountpoint: str
    dead: bool


def run(given: argparse.Namespace) -> Exit:
    """Print the mounts of dicomfs that the kernel knows."""
    rows = [_row(mount) for mount in mounts() if mount.fstype == mountpoint.FSTYPE]
    if given.json:
        table = {"schema": SCHEMA, "mounts": [row._asdict() for row in rows]}
        output.write([json.dumps(table, ensure_ascii=False, indent=1)], is_json=True)
    elif rows:
        output.write(_lines(rows), is_json=False)
    else:
        say("nothing of dicomfs is mounted")
    return Exit.OK


def _row(mount: Mount) -> Row:
    place = Path(os.fsdecode(mount.mountpoint))
    dead = mountpoint.is_stale(place)
    return Row(_user_of(mount), mount.source, str(place), dead)


def _user_of(mount: Mount) -> str:
    """Return the name of who made *mount*, or the number of one who has no name."""
    found = _USER.search(mount.options)
    if found is None:
        return "?"
    try:
        return pwd.getpwuid(int(found[1])).pw_name
    except KeyError:
        return found[1]


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    table = [Row(*_HEAD, dead=False), *rows]
    users = max(len(printable(row.user)) for row in table)
    sources = max(len(printable(row.source)) for row in table)
    for row in table:
        user, source, place = map(printable, row[:3])
        remark = "  [dead; fusermount3 -u ends it]" if row.dead else ""
        yield f"{user:{users}}  {source:{sources}}  {place}{remark}"
