"""Opening URLs: the fetcher is started once for all of them, and says what they lead to.

Whoever was given sources chooses by ``urls.is_url`` between this and ``media.opening``.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from dicomfs.errors import Failure, Problem
from dicomfs.media.opening import Bytes, Files
from dicomfs.remote import keeper
from dicomfs.remote.inside import Inside
from dicomfs.remote.medium import Remotes
from dicomfs.remote.urls import shown, without_dicomdir
from dicomfs.remote.wire import Outcome, UrlStatus

_PROBLEMS: Final = {
    Outcome.MISSING: Problem.URL_MISSING,
    Outcome.REFUSED: Problem.URL_REFUSED,
    Outcome.CHANGED: Problem.URL_CHANGED,
    Outcome.UNREACHABLE: Problem.URL_UNREACHABLE,
    Outcome.NO_RANGES: Problem.URL_NO_RANGES,
    Outcome.NO_LIBRARY: Problem.URL_NO_LIBRARY,
    Outcome.NO_PROTOCOL: Problem.URL_NO_PROTOCOL,
    Outcome.NO_FOLDERS: Problem.URL_NO_FOLDERS,
}


class OpenedUrl(NamedTuple):
    """What URL *which* of *remotes* leads to, or the *failure* to find that out."""

    name: str
    remotes: Remotes
    which: int
    dicomdir: bytes = b""
    failure: Failure | None = None

    @property
    def descriptors(self) -> Sequence[int]:
        """The descriptors by which it is read: the connection that all URLs share."""
        return self.remotes.connection.descriptors

    def open(self) -> Files | Bytes:
        """Return what it leads to; raises Failure."""
        if self.failure is not None:
            raise self.failure
        found = self.remotes.connection.looked[self.which].found
        if found is not None and found.is_folder:
            return Files(self.remotes.folder(self.which), self.dicomdir)
        return Bytes(self.remotes.source(self.which))

    def leave(self) -> None:
        """Close what this process has of it; others have it still."""
        self.remotes.connection.leave()


def open_urls(
    urls: Sequence[str], deadline: float, variables: Mapping[bytes, bytes]
) -> list[OpenedUrl]:
    """Start the fetcher for *urls*, and return what it found; see ``keeper.start``."""
    split = [without_dicomdir(url) for url in urls]
    connection = keeper.start([url for url, _ in split], deadline, variables)
    return _opened(split, Remotes(connection))


def open_urls_inside(urls: Sequence[str], deadline: float) -> list[OpenedUrl]:
    """Return what *urls* lead to, asked by this very process; see ``remote.inside``."""
    split = [without_dicomdir(url) for url in urls]
    inside = Inside([url for url, _ in split], deadline)
    return _opened(split, Remotes(inside))


def _opened(split: Sequence[tuple[str, bytes]], remotes: Remotes) -> list[OpenedUrl]:
    return [
        OpenedUrl(
            shown(url),
            remotes,
            which,
            dicomdir,
            None if looked.found is not None else failure(url, looked),
        )
        for which, ((url, dicomdir), looked) in enumerate(
            zip(split, remotes.connection.looked, strict=True)
        )
    ]


def failure(url: str, looked: UrlStatus) -> Failure:
    """Return the Failure for a URL that leads to nothing; a query it leaves out."""
    return Failure(_PROBLEMS[looked.outcome], name=shown(url), reason=looked.word)
