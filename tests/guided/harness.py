"""A harness: a part of dicomfs that gets any bytes, and what must hold for them."""

import traceback
from collections.abc import Callable, Iterable
from random import Random
from typing import Final, NamedTuple

from tests.support.fuzz import Broken, TooSlow, limited, listening

__all__ = ["MAX_SECONDS", "Broken", "Harness", "problem_with", "see"]

# Of processor time, with all that is measured. An input takes a millisecond or two.
MAX_SECONDS: Final = 1.0


class Harness(NamedTuple):
    """What is done with an input, and what the first inputs are.

    *run* raises whatever must not be raised, and Broken where a promise is. *mutate*
    makes another input of one, where chance alone would mostly break a checksum. *words*
    mean something where they stand in an input.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    mutate: Callable[[bytes, Random], bytes] | None = None
    longest: int = 4096
    words: Iterable[bytes] = ()


def see(holds: object, what: str) -> None:
    """Raise Broken if *what* does not hold."""
    if not holds:
        raise Broken(what)


def problem_with(harness: Harness, data: bytes) -> str:
    """Return what *data* breaks, with its traceback; empty if it breaks nothing."""
    with listening() as listener:
        try:
            with limited(MAX_SECONDS):
                harness.run(data)
        except TooSlow:
            where = traceback.format_exc(limit=-4)
            return f"it took longer than {MAX_SECONDS:g} s\n{where}"
        except Exception:  # noqa: BLE001 - finding these is what fuzzing is for
            return traceback.format_exc(limit=-6)
    return f"a name was logged: {listener.said}" if listener.said else ""
