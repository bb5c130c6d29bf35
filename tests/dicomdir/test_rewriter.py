"""A DICOMDIR written anew: what is read of it is what was put in."""

import io
from dataclasses import dataclass, field

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.dicom import tags
from dicomfs.dicomdir.content import Content, content_of
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.encoding import element
from dicomfs.dicomdir.indexing import read_index
from dicomfs.dicomdir.record import NO_RECORD
from dicomfs.dicomdir.recovery.plain import is_plain
from dicomfs.dicomdir.rewriter import Rewriter, Top, put
from dicomfs.errors import DirectoryError
from dicomfs.source.source import BytesSource
from tests.support.amounts import examples

TOP = Top(b"1.2.3.4", b"MY DISC", b"ISO_IR 100")
LEVELS = (b"PATIENT", b"STUDY", b"SERIES", b"IMAGE")
OURS = (
    tags.OFFSET_OF_NEXT_RECORD,
    tags.RECORD_IN_USE_FLAG,
    tags.OFFSET_OF_LOWER_ENTITY,
)


@dataclass
class Node:
    """A record, and those below it."""

    content: Content
    below: list["Node"] = field(default_factory=list)


def contents(depth: int) -> st.SearchStrategy[Content]:
    """Return contents of records on a level, with whatever they may have besides."""
    more = st.dictionaries(
        st.sampled_from(
            [0x00030001, tags.PATIENT_ID, 0x00091001, 0x00880200, 0x7FE10010]
        ),
        st.binary(max_size=12),
        max_size=4,
    )
    return more.map(
        lambda values: {
            tags.DIRECTORY_RECORD_TYPE: element(
                tags.DIRECTORY_RECORD_TYPE, LEVELS[depth]
            ),
            **{
                tag: element(tag, value, b"" if tag == tags.PATIENT_ID else b"OB")
                for tag, value in values.items()
            },
        }
    )


def forests(depth: int = 0) -> st.SearchStrategy[list[Node]]:
    below = forests(depth + 1) if depth + 1 < len(LEVELS) else st.just([])
    return st.lists(st.builds(Node, contents(depth), below), max_size=3)


def written(forest: list[Node], top: Top = TOP) -> bytes:
    writer = Rewriter(top)

    def add(nodes: list[Node], depth: int) -> None:
        for node in nodes:
            writer.add(node.content, depth)
            add(node.below, depth + 1)

    add(forest, 0)
    return writer.written()


def read(data: bytes) -> list[Node]:
    """Return the records that links lead to."""
    directory = Directory(BytesSource(data))

    def entity(first: int) -> list[Node]:
        nodes = []
        for record in directory.entity(first):
            assert not record.damage
            assert record.in_use
            item = data[record.offset : record.offset + record.length]
            content = content_of(item, directory.header.syntax)
            own = {tag: each for tag, each in content.items() if tag not in OURS}
            nodes.append(Node(own, entity(record.lower) if record.lower else []))
        return nodes

    return entity(directory.header.root)


@examples(1000)
@given(forests())
def test_what_is_written_is_what_is_read(forest: list[Node]) -> None:
    assert read(written(forest)) == forest


@examples(1000)
@given(forests())
def test_what_is_written_again_is_the_same(forest: list[Node]) -> None:
    data = written(forest)

    assert written(read(data)) == data


@examples(1000)
@given(forests())
def test_its_links_are_plainly_sound(forest: list[Node]) -> None:
    directory = Directory(BytesSource(written(forest)))

    index = read_index(directory)

    assert directory.header.is_whole
    assert not directory.header.unusual
    assert not index.gaps
    assert index.is_complete
    assert directory.header.root == NO_RECORD or is_plain(index, directory.header.root)


@examples(400)
@given(forests())
def test_pydicom_finds_the_records_at_their_offsets(forest: list[Node]) -> None:
    data = pydicom.dcmread(io.BytesIO(written(forest)))
    by_offset = {each.seq_item_tell: each for each in data.DirectoryRecordSequence}

    def kinds(nodes: list[Node], depth: int) -> list[object]:
        return [
            [LEVELS[depth].decode(), kinds(each.below, depth + 1)] for each in nodes
        ]

    def follow(offset: int) -> list[object]:
        found: list[object] = []
        while offset:
            record = by_offset[offset]
            below = record.OffsetOfReferencedLowerLevelDirectoryEntity
            found.append([record.DirectoryRecordType, follow(below)])
            offset = record.OffsetOfTheNextDirectoryRecord
        return found

    first = data.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity
    last = data.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity
    assert follow(first) == kinds(forest, 0)
    assert bool(last) == bool(forest)
    assert not last or not by_offset[last].OffsetOfTheNextDirectoryRecord


def test_the_beginning_says_what_it_has_to() -> None:
    data = pydicom.dcmread(io.BytesIO(written([])))

    assert data.file_meta.FileMetaInformationGroupLength == sum(
        8 + (4 if each.VR == "OB" else 0) + len(each.value) + len(each.value) % 2
        for each in data.file_meta
        if each.tag != 0x00020000
    )
    assert data.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.1.3.10"
    assert data.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert data.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert data.file_meta.FileMetaInformationVersion == b"\0\1"
    assert data.file_meta.ImplementationClassUID.is_valid
    assert data.FileSetID == "MY DISC"
    assert data.FileSetConsistencyFlag == 0
    assert data.SpecificCharacterSet == "ISO_IR 100"
    assert not data.DirectoryRecordSequence


def test_links_of_the_content_do_not_count() -> None:
    content = {
        tags.DIRECTORY_RECORD_TYPE: element(tags.DIRECTORY_RECORD_TYPE, b"PATIENT")
    }
    wrong = dict(content)
    put(wrong, dict.fromkeys(OURS, b"\7\0\0\0"))

    assert written([Node(wrong)]) == written([Node(content)])


def test_a_record_needs_one_above_it() -> None:
    writer = Rewriter(TOP)

    with pytest.raises(DirectoryError):
        writer.add({}, 1)
