"""What a program gives to the library: whether it is of a kind that can be used.

Types are hints, and a mistake that they do not find is to be told in a sentence.
"""

import io
import os
from collections.abc import Iterable
from typing import Any, TypeVar

_V = TypeVar("_V")


def check_source(given: object) -> None:
    """Raise TypeError or ValueError if *given* is no path, URL or open binary file."""
    if isinstance(given, io.TextIOBase):
        raise TypeError("a source is a binary file: open it with mode 'rb'")
    if isinstance(given, str | os.PathLike):
        _check_path(os.fspath(given))
    elif isinstance(given, list | tuple | set):
        raise TypeError("several sources are given one by one: open(*sources)")
    elif not (hasattr(given, "read") and hasattr(given, "seek")):
        what = "a source is a path, a URL or a binary file that is open"
        raise TypeError(f"{what}, not {_kind(given)}")
    elif hasattr(given, "seekable") and not given.seekable():
        raise ValueError("a source is a file that can be read at any place")


def _check_path(path: str | bytes) -> None:
    if isinstance(path, bytes):
        raise TypeError("a source is a path as text, not as bytes: os.fsdecode()")
    if not path:
        raise ValueError("a source is an empty path")


def check_text(given: object, what: str) -> None:
    """Raise TypeError unless *given*, which is called *what*, is text."""
    if not isinstance(given, str):
        raise TypeError(f"{what} is text, not {_kind(given)}")


def listed(given: Iterable[_V], what: str, kinds: tuple[type, ...]) -> list[_V]:
    """Return the list of *given*, which is called *what* and has values of these *kinds*.

    Raises TypeError for any other, also for one alone: text is a list of letters, too.
    """
    values = _list_of(given)
    if values is None:
        raise TypeError(f"{what} is a list, not {_kind(given)}")
    for each in values:
        if not isinstance(each, kinds):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise TypeError(f"{what} is a list of {names}, not of {_kind(each)}")
    return values


def _list_of(given: object) -> list[Any] | None:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        return None
    return [*given]


def check_seconds(given: object, what: str) -> None:
    """Raise TypeError or ValueError if nobody can wait for so many seconds."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise TypeError(f"{what} is a number of seconds, not {_kind(given)}")
    if not given > 0:
        raise ValueError(f"{what} is {given}, and not more than 0 seconds")


def _kind(value: object) -> str:
    return type(value).__name__
