"""People by chance: strangers, people who are easily mixed up, and nobody in particular."""

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Final

from scripts.randommedia.text import (
    GERMAN,
    JAPANESE,
    SCRIPTS,
    UNICODE,
    Script,
    compared,
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody: an ID, a name with all its groups, and what else is known.

    Without *patient_id* or *name* that is missing everywhere. *terms* are character
    sets that can hold both. Somebody of *one_spelling* is never written otherwise, as
    only that tells them from another; *is_nobody* says that ID or name are placeholders.
    """

    key: str
    patient_id: str
    name: str
    terms: tuple[str, ...]
    birth_date: str = ""
    sex: str = ""
    issuer: str = ""
    one_spelling: bool = False
    is_nobody: bool = False

    def spellings(self, terms: str) -> list[str]:
        """Return ways to write the name in these *terms* that all mean the same."""
        found = [self.name]
        if not self.one_spelling and self.name:
            found += [self.name.upper(), self.name.lower()]
            found += [self._with_carets(), self.name.split("=", maxsplit=1)[0]]
            if terms in UNICODE:
                found.append(unicodedata.normalize("NFD", self.name))
        return [each for each in found if each and self._means(each)] or [""]

    def _with_carets(self) -> str:
        first, *more = self.name.split("=")
        return "=".join([first + "^" * (4 - first.count("^")), *more])

    def _means(self, name: str) -> bool:
        own, other = compared(self.name).split("="), compared(name).split("=")
        return all(one == another for one, another in zip(own, other, strict=False))


Maker = Callable[[Random, Iterator[int]], list[Person]]

_TAROU: Final = "Yamada^Tarou=山田^太郎=やまだ^たろう"
_PLACEHOLDERS: Final = ("0", "Anonymous", "UNKNOWN", "TEST", "anonymous", "0000")


def cast(rng: Random) -> list[Person]:
    """Return those who are on the discs of one medium."""
    numbers = count(1)
    makers = rng.choices(_MAKERS, weights=_WEIGHTS, k=rng.randint(1, 4))
    people = [person for maker in makers for person in maker(rng, numbers)]
    return list({person.key: person for person in people}.values())


def _somebody(rng: Random, numbers: Iterator[int], script: Script | None) -> Person:
    script = script or rng.choice(SCRIPTS)
    number = next(numbers)
    return Person(
        f"person {number}",
        rng.choice(("{}", "P{:05}", "{:08}", "ab{}c", "{}-X/7")).format(number),
        rng.choice(script.names),
        script.terms,
        birth_date=rng.choice(("", "19500203", "19991231")),
        sex=rng.choice(("", "M", "F", "O")),
    )


def _stranger(rng: Random, numbers: Iterator[int]) -> list[Person]:
    return [_somebody(rng, numbers, None)]


def _alike(rng: Random, numbers: Iterator[int]) -> list[Person]:
    """Return two people who differ in one thing only."""
    one = replace(_somebody(rng, numbers, GERMAN), one_spelling=True)
    kin = replace(_somebody(rng, numbers, JAPANESE), one_spelling=True)
    number = next(numbers)
    first, second = rng.choice(
        (
            (one, replace(one, patient_id=f"{one.patient_id}x")),
            (one, replace(one, name="Meier^Jürgen")),
            (replace(one, birth_date="19500203"), replace(one, birth_date="19770203")),
            (replace(one, sex="F"), replace(one, sex="M")),
            (replace(one, issuer="North"), replace(one, issuer="South")),
            *_pairs(
                one, ("Doe^John^^^Jr", "Doe^John^^^Sr"), ("Doe^John^^Dr", "Doe^John")
            ),
            *_pairs(kin, (_TAROU, "Yamada^Tarou=山田^太郎=やまた^たろう")),
            *_pairs(kin, (_TAROU, "Yamada^Tarou=山田^太朗=やまだ^たろう")),
            *_of_two_ids(one, (f"ab{number}", f"AB{number}")),
            *_of_two_ids(one, (f"{number}2²", f"{number}22")),
            *_of_two_ids(one, (f"ß{number}", f"SS{number}")),
        )
    )
    return [first, replace(second, key=f"{first.key}, the other")]


def _pairs(one: Person, *names: tuple[str, str]) -> list[tuple[Person, Person]]:
    return [(replace(one, name=a), replace(one, name=b)) for a, b in names]


def _of_two_ids(one: Person, *ids: tuple[str, str]) -> list[tuple[Person, Person]]:
    return [(replace(one, patient_id=a), replace(one, patient_id=b)) for a, b in ids]


def _nobody(rng: Random, numbers: Iterator[int]) -> list[Person]:
    one = _somebody(rng, numbers, SCRIPTS[0])
    which = rng.choice(("ID", "name", "both"))
    if which != "name":
        one = replace(one, patient_id=rng.choice(_PLACEHOLDERS))
    if which != "ID":
        one = replace(one, name=rng.choice(_PLACEHOLDERS))
    # Two of them would be one, or not, for reasons of their own.
    return [replace(one, key="nobody", is_nobody=True)]


def _nameless(rng: Random, numbers: Iterator[int]) -> list[Person]:
    one = _somebody(rng, numbers, SCRIPTS[0])
    return [replace(one, name="", is_nobody=True)]


def _without_id(rng: Random, numbers: Iterator[int]) -> list[Person]:
    one = _somebody(rng, numbers, None)
    return [replace(one, patient_id="", name=rng.choice((one.name, "")))]


_MAKERS: Final[tuple[Maker, ...]] = (
    _stranger,
    _alike,
    _nobody,
    _nameless,
    _without_id,
)
_WEIGHTS: Final = (12, 5, 2, 1, 1)
