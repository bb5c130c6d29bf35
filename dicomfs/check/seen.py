"""Having seen something before, at eight bytes each."""

from array import array
from collections.abc import Hashable
from typing import Final

# So many lists, each of them short enough to be searched through.
_LISTS: Final = 1 << 14


class Seen:
    """A set that can only be asked whether something is in it.

    Things are known by their hash alone. Python salts that of bytes and text, so nobody
    can make a medium on which two have the same.
    """

    def __init__(self) -> None:
        self._lists = [array("q") for _ in range(_LISTS)]

    def add(self, thing: Hashable) -> None:
        """Add *thing*."""
        number = hash(thing)
        numbers = self._lists[number % _LISTS]
        if number not in numbers:
            numbers.append(number)

    def __contains__(self, thing: Hashable) -> bool:
        number = hash(thing)
        return number in self._lists[number % _LISTS]
