"""What was read or computed and may be wanted again, kept within a bound."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


def _one(_: object) -> int:
    return 1


class Cache(Generic[_K, _V]):
    """The values that were used last, by their keys; for all threads.

    Together they count for *most* at the most, each for what *size_of* says, which has
    to stay the same; without it each counts for one. The value that was used last
    stays, however much it counts for. None is not a value.
    """

    def __init__(self, most: int, size_of: Callable[[_V], int] = _one) -> None:
        self._most = most
        self._size_of = size_of
        self._lock = threading.Lock()
        # The value that was not used for longest comes first.
        self._values: OrderedDict[_K, _V] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """What all values that are kept count for."""
        return self._size

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: _K) -> bool:
        return key in self._values

    def get(self, key: _K) -> _V | None:
        """Return the value at *key*, or None if it is not kept."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def take(self, key: _K) -> _V | None:
        """Return the value at *key*, which is not kept any more."""
        with self._lock:
            value = self._values.pop(key, None)
            if value is not None:
                self._size -= self._size_of(value)
            return value

    def put(self, key: _K, value: _V) -> None:
        """Keep *value*, and give up those that were not used for longest."""
        with self._lock:
            before = self._values.pop(key, None)
            if before is not None:
                self._size -= self._size_of(before)
            self._values[key] = value
            self._size += self._size_of(value)
            while self._size > self._most and len(self._values) > 1:
                _, oldest = self._values.popitem(last=False)
                self._size -= self._size_of(oldest)
