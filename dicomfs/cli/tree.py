"""``dicomfs tree``: the names and the structure that a mount shows, without one."""

import argparse
import logging
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic
from typing import Final

from dicomfs.cli import outline, output, sources, studies
from dicomfs.cli.apart import Child, apart
from dicomfs.cli.codes import Exit
from dicomfs.cli.terminal import Audience, warnings_handler
from dicomfs.cli.usage import misunderstood
from dicomfs.fileset.patience import Workers
from dicomfs.media.opening import unreadable
from dicomfs.tree.tree import Tree

# Lines that are made together: as many as come within so many seconds, up to a number.
_SOON: Final = 0.1
_MOST: Final = 2000


def run(given: argparse.Namespace) -> int:
    """Print the tree of the sources that were *given*; raises Failure."""
    if given.depth and (given.studies or given.jsonl):
        raise misunderstood("--depth is for the tree, not for a line a study", "tree")
    is_json = given.json or given.jsonl
    return apart(lambda child: _print(given, child), is_json=is_json)


def _print(given: argparse.Namespace, child: Child) -> Exit:
    logging.getLogger().handlers[:] = [warnings_handler()]
    add_extras = extras(given)
    file_sets = sources.file_sets(given, Audience(), child)
    tree = Tree(file_sets, read_headers=not given.index_only)
    add_extras(tree)
    output.say(in_time(_outlined(tree, given), given.deadline))
    return Exit.OK


def extras(
    given: argparse.Namespace, *, has_previews: bool = True
) -> Callable[[Tree], None]:
    """Return what adds extras to a tree, if they are wanted.

    Previews are listed only, as nobody paints here. It is loaded now: nothing can be
    loaded once rights are given up.
    """
    if not given.extras:
        return lambda _: None
    from dicomfs.extras import adding
    from dicomfs.extras.preview import Previews, nobody
    from dicomfs.pictures.studio import can_paint
    from dicomfs.pictures.wire import PREVIEW_SIZE

    is_listed = has_previews and can_paint()
    previews = Previews(nobody, PREVIEW_SIZE) if is_listed else None
    return partial(adding.add_to, deadline=given.deadline, previews=previews)


def _outlined(tree: Tree, given: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of *tree*; raises OSError if the medium cannot be read."""
    # What is printed cannot be taken back: first see that the links are sound.
    tree.check_links()
    depth = given.depth or outline.DEEPEST
    if given.studies:
        yield from studies.lines(tree.root)
    elif given.jsonl:
        yield from outline.studies_as_json(tree.root)
    elif given.json:
        yield from outline.as_json(tree.root, depth)
    else:
        yield from outline.lines(tree.root, depth)


def in_time(lines: Iterator[str], deadline: float) -> Iterator[str]:
    """Yield *lines*; raises Failure if the medium cannot be read, or does not answer."""
    workers = Workers(1, deadline, "tree")
    try:
        while batch := workers.ask(lambda: _next(lines)):
            yield from batch
    except OSError as error:
        raise unreadable(error) from error


def _next(lines: Iterator[str]) -> list[str]:
    """Return the *lines* that come soon, and at least one; none at their end."""
    end = monotonic() + _SOON
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == _MOST or monotonic() >= end:
            break
    return batch
