"""``dicomfs check``: what is wrong with media, as a report."""

import argparse
import logging

from dicomfs.check.check import check
from dicomfs.cli import output, sources
from dicomfs.cli.codes import Exit
from dicomfs.cli.exits import complaint
from dicomfs.cli.terminal import Audience, complain, status_line
from dicomfs.errors import Failure
from dicomfs.tree import report
from dicomfs.tree.report import Report


def run(given: argparse.Namespace) -> Exit:
    """Print the report on the sources that were *given*; raises Failure for a mistake."""
    # What is wrong is in the report; said twice it would not be twice as clear.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        made = _checked(given)
    except Failure as failure:
        told = complaint(failure)
        if told.exit_code == Exit.USAGE:
            raise
        complain(told)
        return Exit.UNCHECKED
    text = report.as_json(made) if given.json else report.as_text(made)
    output.write(text.splitlines(), is_json=given.json)
    if made.failure:
        return Exit.UNCHECKED
    return Exit.FAULTS if made.faults else Exit.OK


def _checked(given: argparse.Namespace) -> Report:
    """Return the report on media; raises Failure if they have none of their own."""
    # The report says what is left out.
    file_sets = sources.file_sets(given, Audience(tells_names=False))
    with status_line() as line:
        return check(
            file_sets,
            lambda stage, count: line.show(f"{stage.meaning}: {count:,}"),
            index_only=given.index_only,
        )
