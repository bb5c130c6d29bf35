"""What became of a File-set that was rebuilt, in words: what is in it, and what is not."""

from collections.abc import Iterator
from typing import Final

from dicomfs.counting import agreed, counted
from dicomfs.original.rebuilt import Reason, Rebuilt

_LEFT_OUT: Final = {
    Reason.UNLINKED: (
        "nobody knows where it belongs (it is in Unlinked of the tree)",
        "nobody knows where they belong (they are in Unlinked of the tree)",
    ),
    Reason.REFUSED: (
        "its File ID leads to nothing that may be opened",
        "their File IDs lead to nothing that may be opened",
    ),
    Reason.UNREADABLE: (
        "its record cannot be read any more",
        "their records cannot be read any more",
    ),
}

# Of a scan there are no records.
_LEFT_OUT_OF_A_SCAN: Final = {
    **_LEFT_OUT,
    Reason.UNREADABLE: (
        "its header cannot be read any more",
        "their headers cannot be read any more",
    ),
}


def is_whole(made: Rebuilt) -> bool:
    """Whether every instance that a record lists is in it."""
    return not made.left_out


def lines(made: Rebuilt) -> Iterator[str]:
    """Yield what is to be said of *made*, a sentence a line, the worst last.

    No patient is named.
    """
    yield f"the DICOMDIR lists {_instances(made.instances)}"
    if made.is_scanned:
        yield "it was made of the headers of the files: no record was read"
    else:
        yield from _of_records(made)
    if count := made.irregular:
        yield (
            f"{_instances(count)} with {agreed(count, 'a File ID', 'File IDs')} that the "
            "standard does not allow, as there are small letters or dots in "
            f"{agreed(count, 'it, or it is', 'them, or they are')} too long: not every "
            "program reads that"
        )
    if made.missing:
        yield f"{_instances(made.missing)} listed and missing on the medium"
    reasons = _LEFT_OUT_OF_A_SCAN if made.is_scanned else _LEFT_OUT
    for reason, count in made.left_out.items():
        yield f"{_instances(count)} left out: {agreed(count, *reasons[reason])}"


def _of_records(made: Rebuilt) -> Iterator[str]:
    """Yield what became of the records that were written."""
    if made.completed:
        yield (
            f"{_records(made.completed)} lacked what a record must have, and got it from "
            "the header of an instance"
        )
    if count := made.made:
        yield (
            f"{_records(count)} could not be copied, or {agreed(count, 'was', 'were')} "
            f"never written, and {agreed(count, 'was', 'were')} made anew of what is "
            f"known: private attributes are not in {agreed(count, 'it', 'them')}"
        )
    if made.changed:
        yield (
            f"{_instances(made.changed)} got another File ID, as the one that was written "
            "names nothing that a reader finds"
        )


def of_a_copy(made: Rebuilt) -> Iterator[str]:
    """Yield what is to be said of a DICOMDIR that is put beside a medium's own files."""
    if made.elsewhere:
        yield (
            f"{_instances(made.elsewhere)} with another name or folder than its File ID "
            "says, or other letters in it: not every program finds that; mount --original "
            "shows all under their File IDs"
        )


def _instances(count: int) -> str:
    return counted(count, "instance")


def _records(count: int) -> str:
    return counted(count, "record")
