"""All that README.txt says, in one table: who translates it makes another one.

Numbers and names stand behind a colon or on a line of their own, so that no sentence
depends on them.
"""

from typing import Final, NamedTuple


class Sentences(NamedTuple):
    """The sentences of README.txt in one language."""

    title: str
    what: tuple[str, ...]
    content: str
    series: str
    images: str
    other_files: str
    key_images: str
    lacking: str
    missing: str
    unreadable: str
    so_far: str
    more: str
    not_counted: str
    apart: str
    condition: str
    nothing_known: str
    not_whole: str
    faults: str
    where_more: str
    outside: str
    nothing_outside: str
    not_all_searched: str
    looking: str
    how_to_look: tuple[str, ...]
    ending: str
    how_to_end: tuple[str, ...]


ENGLISH: Final = Sentences(
    title="What is on this disc",
    what=(
        "You see the content of a medical disc, or of a copy of one. dicomfs shows it as "
        "folders: one for each patient, in it one for each examination, and in that one "
        "for each series of images. Nothing on the disc is changed, and nothing is "
        "copied from it.",
        "dicomfs is not a medical device. Do not make a diagnosis with what you see "
        "here. Ask your doctor what the images and reports mean.",
    ),
    content="Patients and examinations",
    series="series",
    images="images",
    other_files="other files",
    key_images="key images",
    lacking="key images that are not there",
    missing="missing or damaged",
    unreadable="folders that cannot be read",
    so_far="counted so far:",
    more="and more that are not listed here:",
    not_counted="There is more on the disc, which was not counted.",
    apart="Files that do not say whose they are lie in the folder:",
    condition="Whether the disc is whole",
    nothing_known=(
        "No fault is known so far. Nobody has read all images yet. The command dicomfs "
        "check reads the whole disc."
    ),
    not_whole="Files that are missing, damaged or cannot be read:",
    faults="This is known to be wrong with the disc:",
    where_more=(
        "The file .dicomfs/report.txt in this folder says more. You do not see the "
        "folder .dicomfs, but you can open it by its name."
    ),
    outside="Documents and pictures elsewhere on the disc",
    nothing_outside="There are none.",
    not_all_searched="Not all of the disc was searched for them.",
    looking="How to look at the images",
    how_to_look=(
        "Start a program for medical images (a DICOM viewer), and let it open the whole "
        "folder of a series. Do not open the images one by one: the viewer needs all of "
        "them to show them in their order.",
        "Files that end in .pdf, .html or .txt can be opened as they are.",
    ),
    ending="Before you take out the disc",
    how_to_end=(
        "Close all programs that show something of it. Then give this command, with the "
        "folder in which this file lies in place of FOLDER: dicomfs umount FOLDER",
    ),
)
