"""URLs as people give them: which ones are read, and how one may be shown.

Small to import, as each command asks whether it was given one.
"""

import os
import re
from typing import Final
from urllib.parse import urlsplit

from dicomfs.errors import Failure, Problem
from dicomfs.media.opening import is_dicomdir

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+-]*://")

# What reads this machine's files, or writes to them, or leads to a URL in a file.
_NOT_REMOTE: Final = frozenset(
    {
        "asynclocal",
        "blockcache",
        "cached",
        "dicom",
        "dir",
        "file",
        "filecache",
        "generic",
        "git",
        "libarchive",
        "local",
        "reference",
        "simplecache",
        "tar",
        "zip",
    }
)


def is_url(source: str) -> bool:
    """Whether *source* is a URL, and not a path."""
    return _URL.match(source) is not None


def protocol_of(url: str) -> str:
    """Return what stands before ``://``."""
    return url.partition("://")[0].lower()


def shown(url: str) -> str:
    """Return *url* as it may be shown: without a query, which may hold a signature."""
    return url.partition("?")[0]


def without_dicomdir(url: str) -> tuple[str, bytes]:
    """Return the URL of a folder, and the DICOMDIR in it if *url* names one."""
    folder, _, name = url.rpartition("/")
    # A web server has no folders.
    if is_dicomdir(name) and not url.lower().startswith("http"):
        return folder, os.fsencode(name)
    return url, b""


def check(url: str) -> None:
    """Raise Failure for a URL that is not to be opened."""
    protocol, rest = protocol_of(url), url.partition("://")[2]
    if "::" in url:
        raise Failure(Problem.URL_IN_URL)
    if protocol in _NOT_REMOTE:
        raise Failure(Problem.URL_LOCAL, name=f"{protocol}://")
    try:
        parts = urlsplit(url)
        is_secret = parts.password is not None or (
            parts.username is not None and protocol in {"http", "https"}
        )
    except ValueError as error:
        raise Failure(Problem.URL_MALFORMED) from error
    if is_secret:
        raise Failure(Problem.URL_WITH_PASSWORD)
    if not rest:
        raise Failure(Problem.URL_EMPTY)
