"""One disc: the records that list a share of the studies, and the truth about them.

Records are made from the files upwards. On each level a record may be missing, doubled,
or lie below a private one; what that means for the files below is noted at once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final

from scripts.randommedia.card import Card, card
from scripts.randommedia.chance import Chance
from scripts.randommedia.instances import Instances, Node
from scripts.randommedia.levels import Levels
from scripts.randommedia.people import Person
from scripts.randommedia.share import Share
from scripts.randommedia.text import UTF8
from scripts.randommedia.truth import PATIENT, SERIES, STUDY, Folder, Listed
from scripts.randommedia.world import Series, Shot, Study
from tests.build.medium import (
    OMIT,
    Options,
    Record,
    Value,
    breadth_first,
    instance_bytes,
    series,
    study,
)

_NO_LEVEL: Final = frozenset[int]()
# Which levels have no records.
_MISSING: Final = (
    *(_NO_LEVEL,) * 8,
    frozenset({PATIENT}),
    frozenset({STUDY}),
    frozenset({SERIES}),
    frozenset({PATIENT, STUDY}),
    frozenset({STUDY, SERIES}),
    frozenset({PATIENT, STUDY, SERIES}),
)


@dataclass(slots=True)
class Disc:
    """The records of a disc, what they list, and files that none lists."""

    number: int
    records: list[Record]
    listed: list[Listed]
    others: dict[str, bytes]
    options: Options
    is_lower: bool


class Maker:
    """Makes the disc of a *number*; it *is_alone* if there is no other."""

    def __init__(self, rng: Random, number: int, *, is_alone: bool) -> None:
        self._chance = Chance(rng, number)
        self._is_alone = is_alone
        self._is_lower = rng.random() < 0.2
        self._instances = Instances(self._chance, is_lower=self._is_lower)
        self._levels = Levels(self._chance)
        self._without = _NO_LEVEL

    def disc(self, shares: Iterable[Share], at_home: Callable[[Person], bool]) -> Disc:
        """Return the disc with these *shares*; who is *at_home* is on no other disc."""
        people: dict[Person, list[Share]] = {}
        for share in shares:
            people.setdefault(share.study.person, []).append(share)
        default = UTF8 if self._chance.rng.random() < 0.15 else ""
        cards = [
            card(self._chance.rng, person, default, is_at_home=at_home(person))
            for person in people
        ]
        self._choose_levels(cards, people.values())
        nodes = [
            node
            for each, own in zip(cards, people.values(), strict=True)
            for node in self._patient(own, each, is_at_home=at_home(each.person))
        ]
        nodes += self._instances.in_root()
        self._chance.rng.shuffle(nodes)
        return Disc(
            self._chance.disc,
            [node.record for node in nodes],
            [listed for node in nodes for listed in node.listed],
            self._others(),
            self._options(default),
            self._is_lower,
        )

    def _choose_levels(self, cards: list[Card], shares: Iterable[list[Share]]) -> None:
        """Choose which levels have no records on the disc, as far as headers have all.

        It is so for the whole disc: in a list of records that are siblings a link from
        one level to another is taken for a wrong one.
        """
        studies = [share for own in shares for share in own]
        can_miss = {
            PATIENT: all(card.may_be_missing for card in cards),
            # Whether nobody in particular has a study elsewhere, too, records tell.
            STUDY: all(
                share.study.uid and not share.study.person.is_nobody
                for share in studies
            ),
            SERIES: all(series.uid for share in studies for series, _ in share.series),
        }
        wanted = self._chance.rng.choice(_MISSING)
        if all(can_miss[level] for level in wanted):
            self._without = wanted

    # -- from patients down ------------------------------------------------------------

    def _patient(
        self, shares: list[Share], card: Card, *, is_at_home: bool
    ) -> list[Node]:
        person = card.person
        nodes = [node for share in shares for node in self._study(share, is_at_home)]
        if is_at_home:
            nodes = self._privately(nodes, STUDY, person)
        if PATIENT in self._without:
            self._levels.fill_in(nodes, PATIENT, card.folder())
            return nodes
        made = []
        for some in self._levels.split(nodes):
            who = card.record([node.record for node in some])
            # Without an ID each record is somebody else.
            folder = (
                card.folder() if person.patient_id else self._levels.own(card.folder())
            )
            made.append(self._levels.above(who, some, PATIENT, folder))
        for node in made:
            for each in node.listed:
                each.nobody = person.key if person.is_nobody else ""
        return self._privately(made, PATIENT, person) if is_at_home else made

    def _study(self, share: Share, is_at_home: bool) -> list[Node]:
        own = share.study
        nodes = [
            node
            for series, shots in share.series
            for node in self._series(own, series, shots)
        ]
        if self._is_alone and SERIES not in self._without:
            self._instances.list_elsewhere(nodes)
        if is_at_home:
            nodes = self._privately(nodes, SERIES, own.person)
        folder = Folder(own.uid, (own.uid,))
        if STUDY in self._without:
            self._levels.fill_in(nodes, STUDY, folder)
            return nodes
        made = []
        for some in self._levels.split(nodes):
            what = study(
                own.uid or OMIT,
                [node.record for node in some],
                date=own.date or self._chance.rng.choice((OMIT, None)),
                description=own.description or self._chance.rng.choice((OMIT, None)),
            )
            made.append(self._levels.above(what, some, STUDY, folder))
        return made

    def _series(self, of: Study, own: Series, shots: list[Shot]) -> list[Node]:
        nodes = [node for shot in shots for node in self._instances.of(of, own, shot)]
        self._chance.rng.shuffle(nodes)
        folder = Folder(own.uid, (own.uid,))
        if SERIES in self._without:
            self._levels.fill_in(nodes, SERIES, folder)
            return nodes
        nodes = self._levels.aside(nodes) + self._instances.listing_nothing()
        made = []
        for some in self._levels.split(nodes):
            what = series(
                own.uid or OMIT,
                [node.record for node in some],
                number=self._or_omitted(own.number),
                modality=self._or_omitted(own.modality),
                description=own.description or OMIT,
            )
            made.append(self._levels.above(what, some, SERIES, folder))
        return made

    def _privately(self, nodes: list[Node], level: int, person: Person) -> list[Node]:
        if self._without or person.is_nobody:
            return nodes
        return self._levels.privately(nodes, level)

    # -- the rest ----------------------------------------------------------------------

    def _others(self) -> dict[str, bytes]:
        """Return files that no record lists."""
        if self._chance.rng.random() < 0.7:
            return {}
        stranger = {"SOPInstanceUID": "2.25.77", "PatientID": "nobody"}
        return {
            "README.TXT": b"Insert the disc.\n",
            "VIEWER/DEMO": instance_bytes(stranger),
        }

    def _options(self, default: str) -> Options:
        orders = (list, list, reversed, breadth_first, self._shuffled)
        options = Options(
            record_order=self._chance.rng.choice(orders),
            undefined_sequences=self._chance.rng.random() < 0.2,
            undefined_items=self._chance.rng.random() < 0.2,
        )
        if default:
            options["top_level"] = {"SpecificCharacterSet": default}
        return options

    def _shuffled(self, records: list[Record]) -> list[Record]:
        return Random(len(records)).sample(records, len(records))

    def _or_omitted(self, value: Value) -> Value:
        return value if self._chance.rng.random() < 0.97 else OMIT
