"""Key Object Selections: what they choose."""

from collections.abc import Mapping, Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.documents import keyobjects
from dicomfs.documents.keyobjects import Choice, Reference
from dicomfs.errors import DicomfsError
from dicomfs.source.source import BytesSource
from tests.build.medium import Items, Value, code, instance_bytes
from tests.build.reports import CT, KEY_OBJECTS, evidence, item, reference, report


def read(*content: Mapping[str, Value], **more: Value) -> Choice:
    """Return what a document of *content* chooses."""
    elements = report(*content, **{"SOPClassUID": KEY_OBJECTS, **more})
    return keyobjects.read(BytesSource(instance_bytes(elements, size=None)))


def chosen(uid: str) -> dict[str, Value]:
    return item("IMAGE", ReferencedSOPSequence=reference(CT, uid))


def uids(choice: Choice) -> list[bytes]:
    return [each.instance for each in choice.references]


_OF_INTEREST: Final = code("113000", "DCM", "Of Interest")


def test_the_images_are_in_the_order_of_the_document() -> None:
    choice = read(
        chosen("1.9"),
        chosen("1.2"),
        chosen("1.5"),
        ConceptNameCodeSequence=_OF_INTEREST,
    )

    assert choice.title == "Of Interest"
    assert choice.is_choice
    assert uids(choice) == [b"1.9", b"1.2", b"1.5"]


def test_an_image_that_is_named_twice_counts_once() -> None:
    assert uids(read(chosen("1.9"), chosen("1.2"), chosen("1.9"))) == [b"1.9", b"1.2"]


def test_an_image_further_down_in_the_document_counts() -> None:
    below = item("CONTAINER", ContentSequence=[chosen("1.2")])

    assert uids(read(below, chosen("1.3"))) == [b"1.2", b"1.3"]


def test_how_an_image_is_shown_is_no_image() -> None:
    shown = reference(CT, "1.2", ReferencedSOPSequence=reference(KEY_OBJECTS, "1.7"))

    assert uids(read(item("IMAGE", ReferencedSOPSequence=shown))) == [b"1.2"]


def test_the_evidence_says_where_an_image_is() -> None:
    where = evidence({"1.2.1": {"1.2.1.1": ["1.2"]}})
    choice = read(
        chosen("1.2"),
        chosen("1.3"),
        CurrentRequestedProcedureEvidenceSequence=where,
    )

    assert choice.references == [
        Reference(b"1.2", b"1.2.1.1", b"1.2.1"),
        Reference(b"1.3", b"", b""),
    ]


@pytest.mark.parametrize(
    ("title", "is_choice"),
    [
        (_OF_INTEREST, True),
        (code("113001", "DCM", "Rejected for Quality Reasons"), False),
        (code("113037", "DCM", "Rejected for Patient Safety Reasons"), False),
        (code("113030", "DCM", "Manifest"), False),
        (code("113032", "DCM", "Complete Study Content"), False),
        (code("113030", "99LOCAL", "Manifest"), True),
        ([], True),
    ],
)
def test_what_lists_all_or_withdraws_it_chooses_nothing(
    title: Sequence[Mapping[str, Value]], is_choice: bool
) -> None:
    assert read(chosen("1.2"), ConceptNameCodeSequence=title).is_choice is is_choice


def test_a_document_without_content_is_refused() -> None:
    with pytest.raises(DicomfsError, match="no content"):
        read()


def test_sequences_without_lengths_are_read_alike() -> None:
    content = Items([chosen("1.2")], undefined_sequence=True, undefined_items=True)

    assert uids(read(ContentSequence=content)) == [b"1.2"]


@pytest.mark.parametrize("kept", [200, 400, 600])
def test_a_document_that_is_cut_off_is_refused(kept: int) -> None:
    elements = report(chosen("1.2"), chosen("1.3"), SOPClassUID=KEY_OBJECTS)
    data = instance_bytes(elements, size=None)
    assert kept < len(data)

    with pytest.raises(DicomfsError):
        keyobjects.read(BytesSource(data[: kept + 1]))


@pytest.mark.slow
@given(st.data())
def test_whatever_is_damaged_nothing_else_is_raised(data: st.DataObject) -> None:
    where = evidence({"1.2.1": {"1.2.1.1": ["1.2", "1.3"]}})
    elements = report(
        chosen("1.2"),
        chosen("1.3"),
        SOPClassUID=KEY_OBJECTS,
        CurrentRequestedProcedureEvidenceSequence=where,
    )
    damaged = bytearray(instance_bytes(elements, size=None))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(132, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))

    try:
        choice = keyobjects.read(BytesSource(bytes(damaged)))
    except DicomfsError:
        return
    assert all(each.instance for each in choice.references)
