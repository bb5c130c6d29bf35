"""``dicomfs doctor``: what this machine lacks, and the line that mends it."""

import argparse
from collections.abc import Iterator

from dicomfs.cli import output
from dicomfs.cli.codes import Exit
from dicomfs.cli.machine import Sign, signs


def run(_: argparse.Namespace) -> Exit:
    """Print all that was looked at; return whether something is missing to mount."""
    found = [*signs()]
    output.write(_lines(found), is_json=False)
    return Exit.FAULTS if any(sign.is_missing for sign in found) else Exit.OK


def _lines(found: list[Sign]) -> Iterator[str]:
    for sign in found:
        yield f"{sign.state:8} {sign.what}"
        if sign.mend:
            yield f"{'':8} to mend it: {sign.mend}"
    missing = sum(sign.is_missing for sign in found)
    has_notes = any(sign.mend for sign in found if not sign.is_missing)
    yield ""
    if missing:
        yield f"dicomfs cannot mount here: {missing} missing"
    else:
        yield "dicomfs can mount here" + ("; see the notes" if has_notes else "")
