"""Arguments of the command line, and what they mean."""

import argparse
import re
from pathlib import Path
from typing import Final

from dicomfs.cli.usage import misunderstood
from dicomfs.dicom.charsets import declared

# What is between commas, but for those of tags: (0008,0060).
_NAME: Final = re.compile(r"\s*\([^()]*\)|[^,]+")
# The last number means "nobody in particular" to the kernel.
_MAX_ID: Final = 2**32 - 2


def path_of(text: str) -> Path:
    """Return the path *text*; raises Failure for none, which is not the current folder."""
    if not text:
        raise misunderstood("an empty path")
    return Path(text)


def charset_of(text: str) -> bytes:
    """Return *text* as a value of Specific Character Set that means something."""
    term = text.encode("ascii", "replace")
    if not text or declared(term) is None:
        raise argparse.ArgumentTypeError(
            f"{text} is not a character set like ISO_IR 144, GB18030 or windows-1251"
        )
    return term


def names_of(text: str) -> list[str]:
    """Return the names in *text*, between which there are commas; a tag may have one."""
    return [name for each in _NAME.findall(text) if (name := each.strip())]


def jobs_of(text: str) -> int:
    """Return how many jobs *text* means."""
    if not re.fullmatch("[1-9][0-9]?", text):
        raise argparse.ArgumentTypeError(f"{text} is not a number of jobs from 1 to 99")
    return int(text)


def depth_of(text: str) -> int:
    """Return how many folders deep *text* means."""
    if not re.fullmatch("[1-9][0-9]{0,3}", text):
        raise argparse.ArgumentTypeError(f"{text} is not a number of levels from 1 on")
    return int(text)


def umask_of(text: str) -> int:
    """Return the umask *text*, which is octal."""
    if not re.fullmatch("0?[0-7]{1,3}", text):
        raise argparse.ArgumentTypeError(f"{text} is not a umask like 077")
    return int(text, 8)


def id_of(text: str) -> int:
    """Return the number *text* of a user or group."""
    if not text.isdecimal() or int(text) > _MAX_ID:
        raise argparse.ArgumentTypeError(f"{text} is not a number of a user or group")
    return int(text)


def seconds_of(text: str) -> float:
    """Return the number of seconds *text*, more than none."""
    if not re.fullmatch(r"\d{1,6}(\.\d*)?", text) or float(text) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return float(text)
