"""How a command ends: its exit code, and what people are told about a problem.

The core says which problem there is, and its facts. Here that becomes an exit code, a
sentence, and how to mend it.
"""

import shlex
from collections import defaultdict
from typing import Final

from dicomfs.cli import foreign
from dicomfs.cli.codes import Complaint
from dicomfs.cli.command import command
from dicomfs.cli.complaints import TABLE
from dicomfs.counting import agreed, counted
from dicomfs.errors import Failure, Problem


def complaint(failure: Failure) -> Complaint:
    """Return what people are told about *failure*."""
    row = TABLE[failure.problem]
    # A worker in the hands of a medium may leave out what is due.
    facts: dict[str, _Fact] = defaultdict(lambda: _Fact("?"))
    facts |= {name: _Fact(fact) for name, fact in failure.facts.items()}
    facts["dicomfs"] = _Fact(command())
    mend = row.mend.format_map(facts)
    if failure.problem is Problem.SOURCE_FOREIGN and facts["kind"] in foreign.MENDS:
        mend = foreign.mend(facts["kind"], facts["name"])
    return Complaint(row.exit_code, failure.inside(row.what.format_map(facts)), mend)


_SO_MANY: Final = "n "


class _Fact(str):
    """A fact in a sentence, which may be in a form of its own.

    ``{fact:shell}`` is what a shell takes for it, ``{fact:n file}`` so many files, and
    ``{fact:is|are}`` the word that agrees with it.
    """

    __slots__ = ()

    def __format__(self, form: str) -> str:
        if form == "shell":
            return shlex.quote(self)
        is_number = self.isdecimal()
        count = int(self) if is_number else 0
        if form.startswith(_SO_MANY):
            word = form.removeprefix(_SO_MANY)
            return counted(count, word) if is_number else f"{self} {word}s"
        one, is_agreed, many = form.partition("|")
        return agreed(count, one, many) if is_agreed else str(self)
