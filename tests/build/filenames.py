"""What a name that dicomfs makes up must never be, whatever the medium says."""

import unicodedata
from collections.abc import Iterable
from typing import Final

from dicomfs.tree.naming import BUDGETS

# Characters that turn the reading direction around: a name would show another one.
_BIDI: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
# Cc holds NUL, ESC, C0 and C1; half of a surrogate pair is no character.
_UNSEEN: Final = frozenset({"Cc", "Cs"})
_BLANKS_AND_DOTS: Final = " ."


def units(name: str) -> int:
    """Return how many units of UTF-16 *name* takes."""
    return len(name.encode("utf-16-le", "surrogatepass")) // 2


def faults(name: str) -> list[str]:
    """Return what is wrong with a file name."""
    checks = {
        "it is empty": not name,
        "it is a dot or two": name in {".", ".."},
        "it is too long": units(name) > max(BUDGETS.values()),
        "it is a path": "/" in name or "\\" in name,
        "it has control characters": any(
            unicodedata.category(letter) in _UNSEEN for letter in name
        ),
        "it turns the reading direction": not _BIDI.isdisjoint(name),
        "it begins like an option": name.startswith("-"),
        "it begins with a blank": name != name.lstrip(),
        "it ends in a blank or dot": name != name.rstrip().rstrip(_BLANKS_AND_DOTS),
        "it is more than one line": len(name.splitlines()) > 1,
    }
    return [fault for fault, is_there in checks.items() if is_there]


def faults_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of a folder that have faults, and those of them that clash."""
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for name in names:
        form = unicodedata.normalize("NFC", name).casefold()
        if wrong := faults(name) + ["it is there twice"] * (form in seen):
            found[name] = wrong
        seen.add(form)
    return found
