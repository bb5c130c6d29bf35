"""The rows of one source for ``dicomfs catalogue``, for the process that writes them."""

import argparse
import json
import logging
from collections.abc import Iterator

from dicomfs.catalogue.rows import rows
from dicomfs.cli import output, sources
from dicomfs.cli.apart import Child, apart
from dicomfs.cli.codes import Exit
from dicomfs.cli.terminal import Audience, warnings_handler
from dicomfs.cli.tree import in_time
from dicomfs.fileset.patience import Workers
from dicomfs.tree.tree import Tree

# Headers that are read at a time, by one process.
_AT_A_TIME = 4


def run(given: argparse.Namespace) -> int:
    """Print a share of the rows, each as JSON; an empty line ends those of a group."""
    return apart(lambda child: _print(given, child), is_json=True)


def _print(given: argparse.Namespace, child: Child) -> Exit:
    logging.getLogger().handlers[:] = [warnings_handler()]
    file_sets = sources.file_sets(given, Audience(), child)
    tree = Tree(file_sets, read_headers=not given.index_only)
    output.say(in_time(_lines(tree, given), given.deadline))
    return Exit.OK


def _lines(tree: Tree, given: argparse.Namespace) -> Iterator[str]:
    tree.check_links()
    workers = Workers(_AT_A_TIME, given.deadline, "headers") if given.headers else None
    for group in rows(
        tree.root, given.level, given.columns, workers=workers, share=given.share
    ):
        for row in group:
            yield json.dumps(row, ensure_ascii=False)
        yield ""
