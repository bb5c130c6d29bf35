"""What is read of structured reports."""

import time
from collections.abc import Mapping
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.documents.report import Report, read_report
from dicomfs.errors import DicomfsError, DocumentError
from dicomfs.source.source import BytesSource
from tests.build.medium import Items, Value, code, instance_bytes
from tests.build.reports import (
    EVERY_TYPE,
    KEY_OBJECTS,
    Elements,
    item,
    number,
    reference,
    report,
)

SYNTAXES: Final = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)


def read(elements: Mapping[str, Value], syntax: str = SYNTAXES[1]) -> Report:
    return read_report(BytesSource(instance_bytes(elements, syntax=syntax, size=None)))


def value(one: Elements) -> str:
    """Return what is read of a report with one content item."""
    [entry] = read(report(one)).content
    return entry.value


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_value_type_says_what_is_in_it(syntax: str) -> None:
    items = [one for one, _ in EVERY_TYPE.values()]
    found = read(report(*items), syntax)

    assert [each.value for each in found.content] == [v for _, v in EVERY_TYPE.values()]
    assert found.content[0].name == "Finding"
    assert found.title == "Diagnostic Imaging Report"


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (item("NUM", "n", MeasuredValueSequence=number("3", "1", "no units")), "3"),
        (item("NUM", "n", MeasuredValueSequence=number("3", "mm", "mm")), "3 mm"),
        (
            item(
                "NUM",
                "n",
                MeasuredValueSequence=[],
                NumericValueQualifierCodeSequence=code("1", "DCM", "Value unknown"),
            ),
            "(Value unknown)",
        ),
        (item("NUM", "n"), "(empty)"),
        (item("TEXT", "n", TextValue=None), "(empty)"),
        (item("CODE", "n", ConceptCodeSequence=code("7", "99X", "")), "7 99X"),
        (item("DATE", "n", Date="2023"), "2023"),
        (item("DATETIME", "n", DateTime="20230705"), "2023-07-05"),
        (item("TIME", "n", Time="noon"), "noon"),
        (item("HOLOGRAM", "n"), "(a value of the type HOLOGRAM)"),
        (item("CONTAINER", "n"), ""),
        (
            item("TEXT", "n", TextValue="x", ObservationDateTime="20230705"),
            "x (observed 2023-07-05)",
        ),
    ],
)
def test_values_that_are_unusual(one: Elements, said: str) -> None:
    assert value(one) == said


def test_relations_are_said_where_they_are_not_plain() -> None:
    relations = {
        "CONTAINS": "",
        "HAS PROPERTIES": "",
        "HAS CONCEPT MOD": "modifier",
        "HAS OBS CONTEXT": "context",
        "INFERRED FROM": "inferred from",
        "IS LIKE": "is like",
    }
    items = [item("TEXT", "n", relation=each, TextValue="x") for each in relations]

    found = [each.relation for each in read(report(*items)).content]
    assert found == list(relations.values())


def test_an_item_that_another_refers_to_is_known_by_its_number() -> None:
    by_reference: Elements = {
        "RelationshipType": "INFERRED FROM",
        "ReferencedContentItemIdentifier": [1, 1],
    }
    target = item("TEXT", "n", TextValue="x")
    found = read(report(target, {**target, "ContentSequence": [by_reference]}))

    assert found.targets == {"1.1"}
    assert found.content[0].number == "1.1"
    assert found.content[1].below[0].value == "(see 1.1)"


def facts(**more: Value) -> dict[str, str]:
    return dict(read(report(item("TEXT", "n", TextValue="x"), **more)).facts)


def test_whose_it_is_comes_first() -> None:
    told = facts()

    assert list(told)[:4] == ["Patient", "Patient ID", "Born", "Sex"]
    assert [*told.values()][:4] == ["Doe, Jane", "12345", "1970-01-02", "female"]
    assert facts(PatientName=None)["Patient"] == "not said"


@pytest.mark.parametrize(
    ("flags", "completion", "verification"),
    [
        (("COMPLETE", "VERIFIED"), "complete", "verified"),
        (("PARTIAL", "UNVERIFIED"), "NOT COMPLETE", "NOT VERIFIED"),
        ((None, None), "not said", "not said"),
        (("MAYBE", "NO"), "MAYBE", "NO"),
    ],
)
def test_whether_it_may_be_relied_on_is_said(
    flags: tuple[Value, Value], completion: str, verification: str
) -> None:
    told = facts(CompletionFlag=flags[0], VerificationFlag=flags[1])

    assert told["Completion"].partition(":")[0] == completion
    assert told["Verification"].partition(":")[0] == verification


def test_who_verified_it_and_what_it_replaces_is_said() -> None:
    observer: Elements = {
        "VerifyingObserverName": "Roe^Richard",
        "VerifyingOrganization": "Clinic",
        "VerificationDateTime": "20230706",
    }
    documents: Elements = {
        "ReferencedSOPSequence": reference("1.2.840.10008.5.1.4.1.1.88.11", "1.2.9")
    }
    told = facts(
        VerifyingObserverSequence=[observer],
        PredecessorDocumentsSequence=[{"ReferencedSeriesSequence": [documents]}],
        PreliminaryFlag="PRELIMINARY",
    )

    assert told["Verified by"] == "Roe, Richard, Clinic, 2023-07-06"
    assert told["Replaces"] == "SR 1.2.9"
    assert told["State"] == "PRELIMINARY"


def test_key_images_are_neither_complete_nor_verified() -> None:
    images = item("IMAGE", ReferencedSOPSequence=reference("1.2", "1.2.3.6"))
    told = dict(read(report(images, SOPClassUID=KEY_OBJECTS)).facts)

    assert "Completion" not in told
    assert "Verification" not in told


def test_names_are_in_their_character_set() -> None:
    text = item("TEXT", "Befund", TextValue="Kein Größenwachstum")
    found = read(
        report(text, SpecificCharacterSet="ISO_IR 192", PatientName="山田^太郎")
    )

    assert found.content[0].value == "Kein Größenwachstum"
    assert found.patient == "山田, 太郎"


@pytest.mark.slow
def test_there_is_a_bound_of_items_and_it_is_said() -> None:
    one: Elements = {"ValueType": "TEXT"}
    found = read(report(*([one] * 10_001)))

    assert found.is_cut
    assert len(found.content) == 10_000
    assert not read(report(one)).is_cut


@pytest.mark.parametrize(
    "elements",
    [
        {"SOPInstanceUID": "1"},
        report(),
        report(item("TEXT", TextValue=b"x" * (9 * 1024 * 1024))),
    ],
    ids=["no report", "no content", "too large"],
)
def test_what_is_not_a_report_is_an_error(elements: Elements) -> None:
    with pytest.raises(DocumentError):
        read(elements)


@pytest.mark.slow
def test_a_bomb_is_an_error() -> None:
    bomb = report(item("TEXT", TextValue=bytes(40 * 1024 * 1024)))
    begun = time.process_time()
    data = instance_bytes(bomb, syntax=SYNTAXES[3], size=None)
    cost = time.process_time() - begun

    begun = time.process_time()
    with pytest.raises(DocumentError, match="larger"):
        read_report(BytesSource(data))
    assert time.process_time() - begun < max(cost, 0.5)


@pytest.mark.slow
@given(st.data())
def test_whatever_is_damaged_nothing_else_is_raised(data: st.DataObject) -> None:
    items = [one for one, _ in EVERY_TYPE.values()]
    elements = report(*items)
    form = data.draw(st.booleans())
    elements["ContentSequence"] = Items(items, form, form)
    sound = bytearray(instance_bytes(elements, size=None))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(132, len(sound) - 1))
        sound[at] = data.draw(st.integers(0, 255))

    try:
        read_report(BytesSource(bytes(sound)))
    except DicomfsError:
        return
