"""The tags, against pydicom's data dictionary."""

import re

import pytest
from pydicom.datadict import dictionary_description, keyword_for_tag

from dicomfs.dicom import tags, types

TAGS = {name: value for name, value in vars(tags).items() if isinstance(value, int)}

# Shorter than their keywords, which are sentences.
SHORTENED = {
    "OFFSET_OF_FIRST_ROOT_RECORD": (
        "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity"
    ),
    "OFFSET_OF_LAST_ROOT_RECORD": (
        "OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity"
    ),
    "OFFSET_OF_NEXT_RECORD": "OffsetOfTheNextDirectoryRecord",
    "OFFSET_OF_LOWER_ENTITY": "OffsetOfReferencedLowerLevelDirectoryEntity",
    "MRDR_OFFSET": "MRDRDirectoryRecordOffset",
    "REFERENCED_SOP_CLASS": "ReferencedSOPClassUID",
    "REFERENCED_SOP_INSTANCE": "ReferencedSOPInstanceUID",
    "REFERENCED_SOP_CLASS_UID": "ReferencedSOPClassUIDInFile",
    "REFERENCED_SOP_INSTANCE_UID": "ReferencedSOPInstanceUIDInFile",
    "REFERENCED_RELATED_GENERAL_SOP_CLASS_UID": (
        "ReferencedRelatedGeneralSOPClassUIDInFile"
    ),
    "REFERENCED_TRANSFER_SYNTAX_UID": "ReferencedTransferSyntaxUIDInFile",
}


def letters(text: str) -> str:
    return re.sub("[^A-Z]", "", text.upper())


@pytest.mark.parametrize("name", TAGS)
def test_a_tag_has_the_name_that_the_dictionary_gives_it(name: str) -> None:
    keyword = SHORTENED.get(name, keyword_for_tag(TAGS[name]))

    assert keyword == keyword_for_tag(TAGS[name])
    assert name in SHORTENED or letters(name) == letters(keyword)


def test_no_tag_has_two_names() -> None:
    assert len(set(TAGS.values())) == len(TAGS)


@pytest.mark.parametrize("tag", tags.NAMES)
def test_people_read_the_name_that_the_dictionary_gives_it(tag: int) -> None:
    assert tags.NAMES[tag] == dictionary_description(tag)


@pytest.mark.parametrize("keys", types.REQUIRED.values(), ids=types.REQUIRED)
def test_each_required_key_has_a_name_for_people(keys: tuple[int, ...]) -> None:
    assert set(keys) <= set(tags.NAMES)
