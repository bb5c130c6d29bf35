"""``dicomfs catalogue``: what is on media, as a table.

Each source is read in a process of its own, of which several work at a time; where
headers are read, a source has as many as there are processors.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Final

from dicomfs.catalogue import columns
from dicomfs.catalogue.columns import Column
from dicomfs.catalogue.groups import Share
from dicomfs.catalogue.text import Csv, Form, JsonLines
from dicomfs.catalogue.totals import Row
from dicomfs.cli import jobs, output
from dicomfs.cli.codes import Exit
from dicomfs.cli.ending import ended
from dicomfs.cli.terminal import say
from dicomfs.cli.usage import misunderstood
from dicomfs.printable import printable_json, printable_lines

# Processes for one source.
_MOST_SHARES: Final = 8
_PREFIX: Final = "dicomfs: "


def run(given: argparse.Namespace) -> int:
    """Print the rows of all sources that were *given*, in their order; raises Failure.

    Return the exit code of the first that failed.
    """
    if given.excel and given.jsonl:
        raise misunderstood("--excel is for CSV", "catalogue")
    level = columns.LEVELS[given.level]
    asked: list[Column] = columns.default(level)
    if given.columns:
        asked = columns.asked_for(given.columns, level, columns.AllKeywords())
    names = [each.name for each in asked]
    form: Form = Csv(names, is_guarded=given.excel)
    if given.jsonl:
        form = JsonLines(names)
    told = vars(given) | {"columns": asked, "level": level}
    crews = [_crew(told, path) for path in given.paths]
    is_alone = sum(map(len, crews)) == 1
    if not is_alone:
        from dicomfs.cli import rows, sources  # noqa: F401 - for those who are forked

        sources.load(scan=given.scan)
    heard = jobs.in_order(crews, given.jobs, hears_errors=not is_alone)
    codes: list[int] = []
    with closing(heard):
        text = _text(heard, form, len(names), given.paths, codes)
        output.write(map(_shown(is_json=given.jsonl), text), is_json=True)
    return next(filter(None, codes), Exit.OK)


def _shown(*, is_json: bool) -> Callable[[str], str]:
    """Return what is done to lines before they are printed.

    CSV has no escapes that a program would understand: on a terminal, which would obey
    what a medium says, it gets those of all else; anywhere else it stays as it is.
    """
    if is_json:
        return printable_json
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return printable_lines if is_terminal else str


def _crew(told: dict[str, object], path: str) -> list[jobs.Work]:
    """Return what reads the source at *path*, in one process or in several."""
    several = told["headers"] and told["jobs"] == 1
    count = min(len(os.sched_getaffinity(0)), _MOST_SHARES) if several else 1
    shares = [Share(number, count) for number in range(count)]
    return [
        partial(_read, argparse.Namespace(**told | {"paths": [path], "share": share}))
        for share in shares
    ]


def _read(told: argparse.Namespace) -> int:
    """Print the rows of one source; return an exit code."""
    from dicomfs.cli import rows

    return ended(lambda: rows.run(told))


def _text(
    heard: Iterator[jobs.Line | jobs.End],
    form: Form,
    width: int,
    paths: Sequence[str],
    codes: list[int],
) -> Iterator[str]:
    """Yield lines for what is *heard*, and put the exit code of each source into *codes*.

    What a source says on stderr is said when its turn comes.
    """
    head = form.head()
    for each in heard:
        if isinstance(each, jobs.Line):
            yield (head + form.text([_row(each.text, width)])).removesuffix("\n")
            head = ""
            continue
        for line in each.said:
            about = line.decode("utf-8", "replace").removeprefix(_PREFIX)
            say(f"{paths[len(codes)]}: {about}")
        codes.append(each.code)
    if head and not any(codes):
        yield head.removesuffix("\n")


def _row(line: bytes, width: int) -> Row:
    """Return the row in a *line* of JSON; ValueError for what is none."""
    row = json.loads(line)
    if not isinstance(row, list) or len(row) != width:
        raise ValueError("no row")
    if not all(each is None or type(each) in (str, int) for each in row):
        raise ValueError("no values")
    return row
