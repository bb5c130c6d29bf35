"""Command lines that are not understood: what is said of them, and what was meant."""

from collections.abc import Iterable

from dicomfs.cli.command import command
from dicomfs.errors import Failure, Problem


def misunderstood(reason: str, subcommand: str = "") -> Failure:
    """Return the failure of a command line, by *reason*; its help is that of *command*."""
    return Failure(
        Problem.USAGE,
        reason=reason,
        command=" ".join(filter(None, (command(), subcommand))),
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """Return which of the words that are *known* may have been meant, to be appended."""
    found = most_like(word, known)
    return f"; the nearest is {found}" if found else ""


def most_like(word: str, known: Iterable[str]) -> str:
    """Return which of the words that are *known* is most like *word*, empty if none is."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(known), 1)), "")
