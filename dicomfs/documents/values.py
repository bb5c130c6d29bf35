"""What a content item of a structured report says, as text (PS3.3 C.17.3, C.18).

What is said is what is in the file: names of codes are those that its writer gave them
(Code Meaning is of type 1). Words of our own are in parentheses.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.dataset import DataSet
from dicomfs.dicom.types import SHORT_NAMES, type_of_class

# Points, samples and the like of one item that are told.
_MOST_NUMBERS: Final = 1000
_NO_VALUE: Final = "(empty)"
# UCUM has units for what has none.
_NO_UNIT: Final = frozenset({b"1", b"{no units}"})

_DATE: Final = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_TIME: Final = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(\.\d+)?")
_DATE_TIME: Final = re.compile(r"(\d{8})(\d{2,6}(?:\.\d+)?)?([+-]\d{4})?")

# The values that the cells of a table may have (PS3.3 table 10-20): numbers by their form.
_CELL_NUMBERS: Final = {
    tags.SELECTOR_FD_VALUE: "d",
    tags.SELECTOR_FL_VALUE: "f",
    tags.SELECTOR_SL_VALUE: "l",
    tags.SELECTOR_SS_VALUE: "h",
    tags.SELECTOR_UL_VALUE: "L",
    tags.SELECTOR_US_VALUE: "H",
}
_CELL_TEXTS: Final = (
    tags.SELECTOR_CS_VALUE,
    tags.SELECTOR_DS_VALUE,
    tags.SELECTOR_IS_VALUE,
    tags.SELECTOR_LO_VALUE,
    tags.SELECTOR_LT_VALUE,
    tags.SELECTOR_SH_VALUE,
    tags.SELECTOR_ST_VALUE,
    tags.SELECTOR_UT_VALUE,
)


def value_of(item: DataSet) -> str:
    """Return what a content *item* says, empty for a container."""
    type_ = item.attributes.raw(tags.VALUE_TYPE)
    value = _VALUES.get(type_)
    if value is not None:
        return value(item) or _NO_VALUE
    if targets := item.numbers(tags.REFERENCED_CONTENT_ITEM_IDENTIFIER, "L"):
        return f"(see {'.'.join(f'{each:g}' for each in targets[:_MOST_NUMBERS])})"
    if type_ in {b"", b"CONTAINER"}:
        return ""
    return f"(a value of the type {item.attributes.text(tags.VALUE_TYPE)})"


def name_of(item: DataSet) -> str:
    """Return the concept name of a content *item*, empty if it has none."""
    return _first_code(item, tags.CONCEPT_NAME_CODE_SEQUENCE)


def date_of(text: str) -> str:
    """Return a DA value as people write it; any other as it is."""
    found = _DATE.fullmatch(text)
    return "-".join(found.groups()) if found else text


def time_of(text: str) -> str:
    """Return a TM value as people write it; any other as it is."""
    found = _TIME.fullmatch(text)
    if found is None:
        return text
    return ":".join(filter(None, found.groups()[:3])) + (found[4] or "")


def date_time_of(text: str) -> str:
    """Return a DT value as people write it; any other as it is."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return date_of(text)
    date, time, zone = found.groups()
    parts = (date_of(date), time and time_of(time), zone and f"{zone[:3]}:{zone[3:]}")
    return " ".join(filter(None, parts))


# -- by value type ---------------------------------------------------------------------


def _text(item: DataSet) -> str:
    return item.attributes.text(tags.TEXT_VALUE)


def _coded(item: DataSet) -> str:
    return _first_code(item, tags.CONCEPT_CODE_SEQUENCE)


def _number(item: DataSet) -> str:
    measured = item.first(tags.MEASURED_VALUE_SEQUENCE)
    qualifier = _first_code(item, tags.NUMERIC_VALUE_QUALIFIER_CODE_SEQUENCE)
    told = [f"({qualifier})"] if qualifier else []
    if measured is None:
        return " ".join(told)
    number = measured.attributes.text(tags.NUMERIC_VALUE)
    unit = measured.first(tags.MEASUREMENT_UNITS_CODE_SEQUENCE)
    return " ".join(filter(None, (number, "" if unit is None else _unit(unit), *told)))


def _unit(unit: DataSet) -> str:
    """Return a unit: its code in UCUM is what people write, and what it means."""
    if unit.attributes.raw(tags.CODE_VALUE) in _NO_UNIT:
        return ""
    value, meaning = unit.attributes.text(tags.CODE_VALUE), _code(unit)
    return f"{value} ({meaning})" if value and value != meaning else meaning


def _date_time(item: DataSet) -> str:
    return date_time_of(item.attributes.text(tags.DATE_TIME))


def _date(item: DataSet) -> str:
    return date_of(item.attributes.text(tags.DATE))


def _time(item: DataSet) -> str:
    return time_of(item.attributes.text(tags.TIME))


def _uid(item: DataSet) -> str:
    return item.attributes.text(tags.UID)


def _person(item: DataSet) -> str:
    return item.attributes.person_name(tags.PERSON_NAME)


def _reference(item: DataSet) -> str:
    """Return which instances are referenced, and which parts of them."""
    references = item.items(tags.REFERENCED_SOP_SEQUENCE)
    return "; ".join(map(instance_of, references))


def instance_of(reference: DataSet) -> str:
    """Return which instance an item of Referenced SOP Sequence is about."""
    said = reference.attributes
    type_ = type_of_class(said.raw(tags.REFERENCED_SOP_CLASS))
    told = [SHORT_NAMES.get(type_, type_.lower())]
    told.append(said.text(tags.REFERENCED_SOP_INSTANCE))
    if frames := said.text(tags.REFERENCED_FRAME_NUMBER):
        told.append(f"(frame {', '.join(frames.split(chr(92))[:_MOST_NUMBERS])})")
    for words, tag in (
        ("segment", tags.REFERENCED_SEGMENT_NUMBER),
        ("channel", tags.REFERENCED_WAVEFORM_CHANNELS),
    ):
        if numbers := reference.numbers(tag, "H"):
            told.append(f"({words} {_listed(numbers)})")
    # How an image is to be shown, which is an instance, too.
    if state := _reference(reference):
        told.append(f"(shown by {state})")
    return " ".join(filter(None, told))


def _coordinates(dimensions: int) -> Callable[[DataSet], str]:
    def told(item: DataSet) -> str:
        said = item.attributes
        numbers = item.numbers(tags.GRAPHIC_DATA, "f")
        points = [
            f"({_listed(numbers[at : at + dimensions])})"
            for at in range(0, len(numbers), dimensions)
        ]
        shown = points[:_MOST_NUMBERS]
        more = len(points) - len(shown)
        parts = [said.text(tags.GRAPHIC_TYPE), ", ".join(shown)]
        parts.append(f"(and {more} more)" if more else "")
        if frame := said.text(tags.REFERENCED_FRAME_OF_REFERENCE_UID):
            parts.append(f"(in {frame})")
        return " ".join(filter(None, parts))

    return told


def _times(item: DataSet) -> str:
    """Return a range or points of time, in samples, seconds or as dates."""
    said = item.attributes
    samples = _listed(item.numbers(tags.REFERENCED_SAMPLE_POSITIONS, "L"))
    offsets = ", ".join(_several(said.text(tags.REFERENCED_TIME_OFFSETS)))
    dates = _several(said.text(tags.REFERENCED_DATE_TIME))
    parts = (
        said.text(tags.TEMPORAL_RANGE_TYPE),
        samples and f"(samples {samples})",
        offsets and f"(seconds {offsets})",
        ", ".join(map(date_time_of, dates)),
    )
    return " ".join(filter(None, parts))


def _table(item: DataSet) -> str:
    """Return the cells of a table, a line each, with the names of row and column."""
    lines = []
    for table in item.items(tags.TABULATED_VALUES_SEQUENCE) or [item]:
        rows, columns = (
            {
                number: name_of(each)
                for each in table.items(tag)
                for number in _at(each, n)
            }
            for tag, n in (
                (tags.TABLE_ROW_DEFINITION_SEQUENCE, tags.TABLE_ROW_NUMBER),
                (tags.TABLE_COLUMN_DEFINITION_SEQUENCE, tags.TABLE_COLUMN_NUMBER),
            )
        )
        for cell in table.items(tags.CELL_VALUES_SEQUENCE):
            where = [
                names.get(number, "") or f"{what} {number:g}"
                for what, tag, names in (
                    ("row", tags.TABLE_ROW_NUMBER, rows),
                    ("column", tags.TABLE_COLUMN_NUMBER, columns),
                )
                for number in _at(cell, tag)
            ]
            lines.append(f"{', '.join(where)}: {_cell(cell)}")
    return "\n".join(lines)


def _at(item: DataSet, tag: int) -> list[float]:
    return item.numbers(tag, "L")[:1]


def _cell(cell: DataSet) -> str:
    texts = map(cell.attributes.text, _CELL_TEXTS)
    numbers = (_listed(cell.numbers(*each)) for each in _CELL_NUMBERS.items())
    code = _first_code(cell, tags.SELECTOR_CODE_SEQUENCE_VALUE)
    return next(filter(None, (code, *texts, *numbers)), _NO_VALUE)


_VALUES: Final[Mapping[bytes, Callable[[DataSet], str]]] = {
    b"TEXT": _text,
    b"CODE": _coded,
    b"NUM": _number,
    b"DATETIME": _date_time,
    b"DATE": _date,
    b"TIME": _time,
    b"UIDREF": _uid,
    b"PNAME": _person,
    b"COMPOSITE": _reference,
    b"IMAGE": _reference,
    b"WAVEFORM": _reference,
    b"SCOORD": _coordinates(2),
    b"SCOORD3D": _coordinates(3),
    b"TCOORD": _times,
    b"TABLE": _table,
}


# -- codes and numbers -----------------------------------------------------------------


def _first_code(item: DataSet, tag: int) -> str:
    first = item.first(tag)
    return "" if first is None else _code(first)


def _code(code: DataSet) -> str:
    """Return what a code means, or the code itself where its writer did not say that."""
    said = code.attributes
    if meaning := said.text(tags.CODE_MEANING):
        return meaning
    values = map(
        said.text, (tags.CODE_VALUE, tags.LONG_CODE_VALUE, tags.URN_CODE_VALUE)
    )
    scheme = said.text(tags.CODING_SCHEME_DESIGNATOR)
    return " ".join(filter(None, (next(filter(None, values), ""), scheme)))


def _several(text: str) -> list[str]:
    return text.split("\\")[:_MOST_NUMBERS] if text else []


def _listed(numbers: list[float]) -> str:
    return ", ".join(f"{each:.9g}" for each in numbers[:_MOST_NUMBERS])
