"""Random media by number: made, with the truth beside them, and judged."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Final

from dicomfs.errors import DicomfsError
from scripts.randommedia import judge, source, torn, truth
from scripts.randommedia.disc import Disc, Maker
from scripts.randommedia.people import Person
from scripts.randommedia.share import Share, shares
from scripts.randommedia.truth import Expected
from scripts.randommedia.world import studies

TRUTH: Final = "truth.json"


@dataclass(frozen=True, slots=True)
class Medium:
    """A medium: its discs in the order in which they are given, and what is to be seen."""

    number: int
    forms: list[str]
    sources: list[Path]
    expected: list[Expected]
    is_torn: bool = False

    @property
    def outline(self) -> str:
        """What it is, in a line."""
        missing = sum(not each.digests for each in self.expected)
        return (
            f"medium {self.number}: {', '.join(self.forms)}; "
            f"{len(self.expected)} entries, {missing} of them missing"
        )


def make(seed: int, number: int, folder: Path, *, is_torn: bool = False) -> Medium:
    """Write the medium of this *number* into *folder*, and the truth beside it.

    If it *is_torn*, its records are linked wrongly (see ``torn``).
    """
    rng = Random(f"{seed} {number}")
    with _silence():
        discs = _discs(rng)
    listed = [each for disc in discs for each in disc.listed]
    expected = truth.expected(listed)
    rng.shuffle(discs)
    if is_torn:
        torn.tear(rng, rng.choice(discs))
    forms = rng.choices(tuple(source.FORMS), k=len(discs))
    sources = [
        source.write(rng, disc, folder, form)
        for disc, form in zip(discs, forms, strict=True)
    ]
    made = Medium(number, forms, sources, expected, is_torn)
    _save(made, folder / TRUTH)
    return made


def faults(medium: Medium) -> list[str]:
    """Return what is wrong with what is shown of *medium*, in words."""
    with _silence():
        try:
            if medium.is_torn:
                return torn.faults(medium.sources, medium.expected)
            with judge.opened(medium.sources) as tree:
                return judge.faults(tree, medium.expected)
        except (DicomfsError, OSError) as error:
            return [f"the walk ended with {type(error).__name__}: {error}"]


def _discs(rng: Random) -> list[Disc]:
    parts = shares(rng, studies(rng), rng.choice((1, 1, 2, 2, 3, 4)))
    discs = []
    for number, part in enumerate(parts, 1):
        others = {
            share.study.person
            for other in parts
            if other is not part
            for share in other
        }
        maker = Maker(rng, number, is_alone=len(parts) == 1)
        discs.append(_disc(maker, part, others))
    return discs


def _disc(maker: Maker, part: list[Share], others: set[Person]) -> Disc:
    return maker.disc(part, lambda person: person not in others)


def _save(medium: Medium, to: Path) -> None:
    """Write down what is to be seen, for people and other programs."""
    entries = [
        {
            "any of (SHA-256)": each.digests,
            "UID": each.uid,
            "files": each.files,
            "folders": [folder and asdict(folder) for folder in each.folders],
        }
        for each in medium.expected
    ]
    told = {"sources": [path.name for path in medium.sources], "entries": entries}
    to.write_text(json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8")


@contextmanager
def _silence() -> Iterator[None]:
    """Let nothing be logged: media are damaged, and text is odd, on purpose."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
