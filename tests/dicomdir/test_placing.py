"""Where records are placed: each in one place, and none in none."""

from collections.abc import Sequence

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.index import INACTIVE, MRDR_KIND, Index
from dicomfs.dicomdir.origin import Origin
from dicomfs.dicomdir.recovery.repair import repair

PATIENT, STUDY, SERIES, IMAGE = map(int, list(Level)[1:5])


class Silent:
    """A witness who has nothing to say."""

    def said_by_records(self, _: Sequence[int]) -> Origin:
        """Say nothing."""
        return Origin.unknown()

    def said_by_header(self, _: Sequence[int]) -> Origin | None:
        """Say nothing."""
        return None


def index(*records: tuple[int, int, int]) -> Index:
    """Return an index of records: kind, next and lower of each, by their numbers."""
    made = Index()
    for number, (kind, following, lower) in enumerate(records, start=1):
        made.add(100 * number, 100 * following, 100 * lower, kind)
    return made


def test_what_an_inactive_record_leads_to_stays_whole_where_it_is() -> None:
    # It only lends its file: no walk comes by it, and yet its link is one.
    lent = (MRDR_KIND | INACTIVE, 0, 5)
    found = index(
        (PATIENT, 0, 2),
        (STUDY, 0, 3),
        (SERIES, 0, 5),
        lent,
        (IMAGE, 6, 0),
        (IMAGE, 0, 0),
    )

    made = repair(found, 100, Silent())

    assert made.links is not None
    assert (made.roots, made.unlinked) == ((100,), [])
    assert made.links.of(300)[1] == 500
    assert made.links.of(500)[0] == 600
