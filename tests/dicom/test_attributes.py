"""Attributes: raw values decoded when they are asked for."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.valuerep import DA, TM

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes

SetZone = Callable[[str], None]


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetZone]:
    def change(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield change
    monkeypatch.undo()
    time.tzset()


def having(**values: bytes) -> Attributes:
    return Attributes({getattr(tags, name): value for name, value in values.items()})


def moment(date: bytes, clock: bytes = b"", offset: bytes = b"") -> int | None:
    attributes = having(
        STUDY_DATE=date, STUDY_TIME=clock, TIMEZONE_OFFSET_FROM_UTC=offset
    )
    return attributes.time_ns(tags.STUDY_DATE, tags.STUDY_TIME)


def nanoseconds(when: datetime) -> int:
    return int(when.timestamp()) * 10**9


@pytest.mark.parametrize("padding", [b"", b" ", b"\0"], ids=["none", "blank", "null"])
def test_raw_values_come_without_padding(padding: bytes) -> None:
    assert having(STUDY_INSTANCE_UID=b"1.2" + padding).raw(tags.STUDY_INSTANCE_UID) == (
        b"1.2"
    )


def test_what_is_missing_is_empty() -> None:
    nothing = having()

    assert nothing.raw(tags.PATIENT_ID) == b""
    assert nothing.text(tags.PATIENT_ID) == ""
    assert nothing.number(tags.INSTANCE_NUMBER) is None
    assert nothing.date(tags.STUDY_DATE) == ""
    assert nothing.time_ns(tags.STUDY_DATE, tags.STUDY_TIME) is None


def test_text_is_decoded_with_the_own_character_set() -> None:
    attributes = having(
        SPECIFIC_CHARACTER_SET=b"ISO_IR 101",
        PATIENT_NAME="Łódź".encode("iso8859_2"),
    )

    assert attributes.under((b"ISO_IR 144",)).text(tags.PATIENT_NAME) == "Łódź"


@pytest.mark.parametrize(
    "own", [None, b"", b"ISO_IR 999"], ids=["absent", "empty", "unknown"]
)
def test_text_falls_back_to_the_character_set_of_an_ancestor(own: bytes | None) -> None:
    values = {tags.PATIENT_NAME: "Łódź".encode("iso8859_2")}
    if own is not None:
        values[tags.SPECIFIC_CHARACTER_SET] = own

    attributes = Attributes(values).under((b"ISO_IR 101",))

    assert attributes.text(tags.PATIENT_NAME) == "Łódź"


def test_a_delimiter_of_names_does_not_reset_the_character_set_of_a_description() -> (
    None
):
    # PS3.5 6.1.2.5.3: "^" and "=" do so in person names only.
    attributes = having(
        SPECIFIC_CHARACTER_SET=b"\\ISO 2022 IR 144",
        STUDY_DESCRIPTION=b"\x1b-L" + "слой=тонкий".encode("iso8859_5"),
    )

    assert attributes.text(tags.STUDY_DESCRIPTION) == "слой=тонкий"


def test_children_try_the_own_character_set_before_those_above() -> None:
    attributes = having(SPECIFIC_CHARACTER_SET=b"ISO_IR 192").under((b"ISO_IR 100",))

    assert attributes.character_sets == (b"ISO_IR 192", b"ISO_IR 100")
    assert having().under((b"ISO_IR 100",)).character_sets == (b"ISO_IR 100",)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (b"17", 17),
        (b" 17 ", 17),
        (b"0017", 17),
        (b"+17", 17),
        (b"-3", -3),
        (b"17.0", 17),
        (b"17.", 17),
        (b"123456789012", 123456789012),
        (b"1234567890123", None),
        (b"17.5", None),
        (b"1e3", None),
        (b"abc", None),
        (b"1\\2", None),
        (b"\xb2", None),
        (b"", None),
        (b" ", None),
        (b"1 2", None),
    ],
)
def test_a_number_is_whole_or_none(value: bytes, number: int | None) -> None:
    assert having(INSTANCE_NUMBER=value).number(tags.INSTANCE_NUMBER) == number


@pytest.mark.parametrize(
    ("value", "date"),
    [
        (b"20230705", "2023-07-05"),
        (b"20230705 ", "2023-07-05"),
        (b"2023.07.05", "2023-07-05"),
        (b"2023-07-05", "2023-07-05"),
        (b"00010101", "0001-01-01"),
        (b"20230230", ""),
        (b"20231301", ""),
        (b"00000000", ""),
        (b"2023", ""),
        (b"ANONYMOUS", ""),
        ("٢٠٢٣٠٧٠٥".encode(), ""),
        (b"", ""),
    ],
)
def test_a_date_is_written_as_iso_writes_it(value: bytes, date: str) -> None:
    assert having(STUDY_DATE=value).date(tags.STUDY_DATE) == date


@given(st.dates())
def test_dates_are_those_that_pydicom_reads(day: date) -> None:
    value = f"{day.year:04}{day.month:02}{day.day:02}"

    found = having(STUDY_DATE=value.encode()).date(tags.STUDY_DATE)

    assert found == DA(value).isoformat()


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)))
def test_times_are_those_that_pydicom_reads(when: datetime) -> None:
    date, clock = f"{when:%Y%m%d}", f"{when:%H%M%S.%f}"

    found = moment(date.encode(), clock.encode(), b"+0000")

    oracle = datetime.combine(DA(date), TM(clock), UTC)
    assert found == nanoseconds(oracle.replace(microsecond=0))


@pytest.mark.parametrize(
    ("clock", "seconds"),
    [
        (b"", 0),
        (b"12", 12 * 3600),
        (b"1230", 12 * 3600 + 30 * 60),
        (b"123015", 12 * 3600 + 30 * 60 + 15),
        (b"123015.999999", 12 * 3600 + 30 * 60 + 15),
        (b"12:30:15", 12 * 3600 + 30 * 60 + 15),
        (b"235960", 86400),
        (b"250000", 0),
        (b"126100", 0),
        (b"noon", 0),
    ],
)
def test_a_time_of_day_may_be_short_or_wrong(clock: bytes, seconds: int) -> None:
    assert moment(b"20230705", clock, b"+0000") == nanoseconds(
        datetime(2023, 7, 5, tzinfo=UTC) + timedelta(seconds=seconds)
    )


@pytest.mark.parametrize(
    ("offset", "hours"),
    [(b"+0200", 2), (b"-0330", -3.5), (b"+1400", 14), (b"+0000", 0)],
)
def test_a_time_is_of_the_zone_that_is_given(offset: bytes, hours: float) -> None:
    zone = timezone(timedelta(hours=hours))

    assert moment(b"20230705", b"120000", offset) == nanoseconds(
        datetime(2023, 7, 5, 12, tzinfo=zone)
    )


@pytest.mark.parametrize("offset", [b"", b"CEST", b"+2"], ids=["none", "name", "short"])
def test_a_time_without_a_zone_is_local(set_zone: SetZone, offset: bytes) -> None:
    set_zone("UTC-5")  # five hours east of Greenwich

    assert moment(b"20230705", b"120000", offset) == nanoseconds(
        datetime(2023, 7, 5, 7, tzinfo=UTC)
    )


@pytest.mark.parametrize("zone", ["UTC+12", "UTC-14", "Europe/Berlin"])
@pytest.mark.parametrize("date", [b"00010101", b"99991231", b"19690101"])
def test_no_date_raises(set_zone: SetZone, zone: str, date: bytes) -> None:
    set_zone(zone)

    found = moment(date, b"235960")

    assert found is None or isinstance(found, int)


@given(st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_any_bytes_are_a_time_or_none(date: bytes, clock: bytes, offset: bytes) -> None:
    found = moment(date, clock, offset)

    assert found is None or isinstance(found, int)


@given(clock=st.binary(max_size=8), offset=st.from_regex(rb"[+-]\d{4}", fullmatch=True))
def test_any_time_and_zone_of_a_good_date_are_a_time(
    clock: bytes, offset: bytes
) -> None:
    assert isinstance(moment(b"20230705", clock, offset), int)
