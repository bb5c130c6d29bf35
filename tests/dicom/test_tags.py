"""The tags, against pydicom's data dictionary."""

import re

import pytest
from pydicom.datadict import keyword_for_tag

from dicomfs.dicom import tags

TAGS = {name: value for name, value in vars(tags).items() if isinstance(value, int)}

# Shorter than their keywords, which are sentences.
SHORTENED = {
    "OFFSET_OF_FIRST_ROOT_RECORD": (
        "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity"
    ),
    "OFFSET_OF_NEXT_RECORD": "OffsetOfTheNextDirectoryRecord",
    "OFFSET_OF_LOWER_ENTITY": "OffsetOfReferencedLowerLevelDirectoryEntity",
    "MRDR_OFFSET": "MRDRDirectoryRecordOffset",
    "REFERENCED_SOP_CLASS_UID": "ReferencedSOPClassUIDInFile",
    "REFERENCED_SOP_INSTANCE_UID": "ReferencedSOPInstanceUIDInFile",
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
