"""Attributes of a directory record or of an instance's header, decoded when asked for."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, NamedTuple

from dicomfs.dicom import tags, text

# PS3.5 6.2: 12 characters at most; "17.0" is wrong and yet plain.
_MAX_DIGITS: Final = 12
_NUMBER: Final = re.compile(rb"([+-]?\d{1,12})(?:\.0*)?")
# Of a DA the first value, also with other signs between its parts, or a time behind it:
# ACR-NEMA wrote 1997.07.04, careless writers ISO dates, slashes, or a DT.
_DATE: Final = re.compile(
    r"(\d{4})([-.:/ ]?)(\d\d)\2(\d\d)(?:[T ]?\d\d[\d:.+-]*)?(?:\\.*)?", re.DOTALL
)
_PROPER_DATE: Final = re.compile(rb"\d{8}|\d{4}\.\d\d\.\d\d")
_TIME: Final = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?")
_OFFSET: Final = re.compile(r"([+-])(\d\d)(\d\d)")


class Attributes(NamedTuple):
    """Raw values by tag, with the character sets of the records above them.

    Specific Character Set belongs to each record alone (PS3.3 F.3.2.2), yet writers
    declare it once at the top: an ancestor's is the first thing to try where the own
    one is missing or fails. Another record's never is, as names would then depend on
    the order in which folders were opened.
    """

    values: Mapping[int, bytes]
    inherited: tuple[bytes, ...] = ()
    # What somebody said that all text is in (``--charset``), empty if nobody did.
    preferred: bytes = b""

    def under(
        self, character_sets: tuple[bytes, ...], preferred: bytes = b""
    ) -> "Attributes":
        """Return the same attributes below records with these character sets."""
        return Attributes(self.values, character_sets, preferred)

    @property
    def character_sets(self) -> tuple[bytes, ...]:
        """The character sets to try for these attributes, the own one first."""
        own = self.values.get(tags.SPECIFIC_CHARACTER_SET, b"")
        return (own, *self.inherited) if own else self.inherited

    def raw(self, tag: int) -> bytes:
        """Return the value of *tag* up to the first NUL, without padding.

        Empty if there is none. What stands behind a NUL is what a buffer held before.
        """
        value = self.values.get(tag)
        return value.partition(b"\0")[0].strip(b" ") if value else b""

    def text(self, tag: int) -> str:
        """Return the value of *tag* as text, empty if there is none."""
        value = self.values.get(tag)
        return self._decoded(value, is_name=False) if value else ""

    def person_name(self, tag: int) -> str:
        """Return the PN value of *tag* as people write it, empty if there is none."""
        return text.person_name(self.name(tag))

    def name(self, tag: int) -> str:
        """Return the PN value of *tag* with all groups and components, as it is written."""
        value = self.values.get(tag)
        return self._decoded(value, is_name=True) if value else ""

    def doubt(self, tag: int, *, is_name: bool = False) -> str:
        """Return why the text of *tag* is in doubt, empty if it is as declared."""
        value = self.values.get(tag, b"")
        sets = self.character_sets
        return text.read(value, sets, is_name=is_name, preferred=self.preferred).doubt

    def _decoded(self, value: bytes, *, is_name: bool) -> str:
        sets = self.character_sets
        return text.decode(value, sets, is_name=is_name, preferred=self.preferred)

    def number(self, tag: int) -> int | None:
        """Return the IS value of *tag*, None if it is missing or no whole number."""
        raw = self.raw(tag)
        if not raw:
            return None
        if raw.isdigit() and len(raw) <= _MAX_DIGITS:
            return int(raw)
        found = _NUMBER.fullmatch(raw)
        return int(found[1]) if found else None

    def date(self, tag: int) -> str:
        """Return the DA value of *tag* as ``YYYY-MM-DD``, empty if it is not a date."""
        day = self._day(tag)
        return day.date().isoformat() if day else ""

    def is_proper_date(self, tag: int) -> bool:
        """Whether the value of *tag* is empty, or one date as DA has it (PS3.5 6.2)."""
        raw = self.raw(tag)
        return not raw or (
            _PROPER_DATE.fullmatch(raw) is not None and self._day(tag) is not None
        )

    def time_ns(self, date: int, time: int) -> int | None:
        """Return a DA and a TM value as nanoseconds since 1970, None without a date.

        The zone is Timezone Offset From UTC where that is given, else local time.
        """
        day = self._day(date)
        if day is None:
            return None
        try:
            moment = (day + self._clock(time)).replace(tzinfo=self._zone())
            return int(moment.timestamp()) * 10**9
        except (OverflowError, OSError, ValueError):
            return None

    def _day(self, tag: int) -> datetime | None:
        found = _DATE.fullmatch(self.raw(tag).decode("latin-1"))
        if found is None:
            return None
        try:
            return datetime(int(found[1]), int(found[3]), int(found[4]))
        except ValueError:
            return None

    def _clock(self, tag: int) -> timedelta:
        found = _TIME.match(self.raw(tag).decode("latin-1"))
        if not found:
            return timedelta()
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        if hours > 23 or minutes > 59 or seconds > 60:
            return timedelta()
        return timedelta(hours=hours, minutes=minutes, seconds=seconds)

    def _zone(self) -> timezone | None:
        raw = self.raw(tags.TIMEZONE_OFFSET_FROM_UTC).decode("latin-1")
        found = _OFFSET.fullmatch(raw)
        if not found:
            return None
        offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        try:
            return timezone(offset if found[1] == "+" else -offset)
        except ValueError:
            return UTC


def as_text(attributes: Attributes) -> dict[str, str]:
    """Return the raw values as JSON can have them, for ``of_text`` of another process."""
    values = attributes.values.items()
    return {str(tag): value.decode("latin-1") for tag, value in values}


def of_text(values: Mapping[str, str]) -> Attributes:
    """Return attributes with these values; raises ValueError or AttributeError."""
    return Attributes(
        {int(tag): value.encode("latin-1") for tag, value in values.items()}
    )
