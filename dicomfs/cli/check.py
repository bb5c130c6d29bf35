"""``dicomfs check``: what is wrong with media, as a report."""

import argparse
import logging
from collections.abc import Callable
from typing import Final

from dicomfs.check import inspection, listed
from dicomfs.check.check import check
from dicomfs.check.meter import Amount
from dicomfs.cli import output, sources
from dicomfs.cli.apart import Child, apart
from dicomfs.cli.codes import Exit
from dicomfs.cli.exits import complaint
from dicomfs.cli.progress import how_fast, so_far
from dicomfs.cli.terminal import Audience, Pace, complain, status_line
from dicomfs.errors import Failure, Problem
from dicomfs.fileset.aside import Job
from dicomfs.tree import report
from dicomfs.tree.report import Report, Stage

_SHOWN: Final = {
    Stage.INDEX: "directory records",
    Stage.FOLDERS: "folders of the tree",
    Stage.FILES: "listed files",
    Stage.MEDIUM: "folders of the medium",
}


def run(given: argparse.Namespace) -> int:
    """Print the report on the sources that were *given*; raises Failure for a mistake."""
    try:
        return apart(lambda child: _print(given, child), is_json=given.json)
    except Failure as failure:
        if failure.problem is not Problem.TOO_MUCH_COMPUTING:
            raise
        complain(complaint(failure))
        return Exit.UNCHECKED


def _print(given: argparse.Namespace, child: Child) -> Exit:
    # What is wrong is in the report; said twice it would not be twice as clear.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        made = _checked(given, child)
    except Failure as failure:
        told = complaint(failure)
        if told.exit_code == Exit.USAGE:
            raise
        complain(told)
        return Exit.UNCHECKED
    text = report.as_json(made) if given.json else report.as_text(made)
    output.say(text.splitlines())
    if made.failure:
        return Exit.UNCHECKED
    return Exit.FAULTS if made.faults else Exit.OK


def _checked(given: argparse.Namespace, child: Child) -> Report:
    """Return the report on media; raises Failure if they have none of their own."""
    # The report says what is left out.
    jobs = {} if given.index_only else {listed.JOB: Job(inspection.told)}
    file_sets = sources.file_sets(given, Audience(tells_names=False), child, jobs)
    with status_line() as line:
        return check(
            file_sets,
            _shown(line.show),
            index_only=given.index_only,
            is_scan=given.scan,
            deadline=given.deadline,
        )


def _shown(show: Callable[[str], None]) -> Callable[[Stage, Amount], None]:
    """Return what shows how far a check is: where it is known, with the time left."""
    paces: dict[Stage, Pace] = {}

    def tell(stage: Stage, amount: Amount) -> None:
        # Folders are listed in between; the files say more.
        if stage is Stage.FOLDERS and Stage.FILES in paces:
            return
        pace = paces.setdefault(stage, Pace())
        show(f"{_SHOWN[stage]}: {so_far(amount)}{how_fast(amount, pace)}")

    return tell
