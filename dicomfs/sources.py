"""The sources of a mount: what medium each one is, and the File-sets on all of them.

Several sources are joined to one tree, and an archive without a File-set of its own may
hold images that have one. A source that is of no use costs only itself, unless there is
no other.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby, islice
from operator import attrgetter
from typing import Final

from dicomfs import logs
from dicomfs.discovery import open_file_sets
from dicomfs.errors import Exit, Failure, MediumError
from dicomfs.fileset import FileSet
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.medium import Medium, Path, Room
from dicomfs.media.opening import OpenedSource, unreadable, unsupported
from dicomfs.scan import scanned
from dicomfs.source import Source

log = logging.getLogger(__name__)

# Drives and servers that are asked at a time.
_THREADS: Final = 8
# Images in archives: what they are called, how deep in folders they are sought, how
# deep archives may lie in each other, and how many of them are opened.
_IMAGES: Final = (b".iso", b".img", b".udf", b".zip")
_SEARCH_DEPTH: Final = 3
_MAX_NESTED: Final = 3
_MOST_IMAGES: Final = 1000


def file_sets_of(
    sources: Sequence[OpenedSource],
    findings: Findings,
    *,
    scan: bool = False,
    passwords: Sequence[bytes] = (),
) -> list[FileSet]:
    """Return the File-sets of all *sources*, which it owns from here on.

    They are found by their DICOMDIRs, or by a *scan* made of their files. Raises
    Failure with the exit code that says what is wrong with the first if none has any.
    """
    if len(sources) == 1:
        found = _Opening(findings, scan, passwords).file_sets(sources[0])
        _tell_apart(found)
        return found
    file_sets: list[FileSet] = []
    failures: list[Failure] = []
    with ThreadPoolExecutor(min(_THREADS, len(sources))) as threads:
        openings = [
            _Opening(findings.about(source.name), scan, passwords) for source in sources
        ]
        results = threads.map(_Opening.attempt, openings, sources)
        for number, (opening, result) in enumerate(
            zip(openings, results, strict=True), 1
        ):
            if isinstance(result, Failure):
                failures.append(result)
                opening.leave_out(result, f"source {number} of {len(sources)}")
            else:
                file_sets += result
    if not file_sets:
        raise failures[0]
    _tell_apart(file_sets)
    return file_sets


def room_of(file_sets: Sequence[FileSet]) -> Room:
    """Return how large the media of *file_sets* are together."""
    media = {id(each.medium): each.medium for each in file_sets}.values()
    rooms = [medium.room() for medium in media]
    block = max(room.block for room in rooms)
    return Room(block, sum(-(-room.block * room.blocks // block) for room in rooms))


def _tell_apart(file_sets: Sequence[FileSet]) -> None:
    """Give copies of one disc identities that do not depend on the order of sources."""
    by_source = sorted(
        file_sets, key=lambda each: (each.identity, each.findings.source)
    )
    for identity, alike in groupby(by_source, attrgetter("identity")):
        for number, file_set in enumerate(islice(list(alike), 1, None)):
            copy = b"%b copy %d" % (identity, number)
            file_set.identity = hashlib.sha256(copy).digest()


@dataclass(frozen=True, slots=True)
class _Opening:
    """Opens one source; *findings* are about that source."""

    findings: Findings
    scan: bool
    passwords: Sequence[bytes]

    def attempt(self, source: OpenedSource) -> list[FileSet] | Failure:
        """Return the File-sets of *source*, or why it has none."""
        try:
            return self.file_sets(source)
        except Failure as failure:
            return failure
        except Exception as error:  # noqa: BLE001 - it costs this source only
            logs.unforeseen(log, "a source", error)
            return Failure(
                Exit.UNEXPECTED,
                f"an error that dicomfs did not foresee: {logs.place_of(error)}",
                "report it, with what you did and with dicomfs --version",
            )

    def leave_out(self, failure: Failure, which: str) -> None:
        """Note that a source has no File-set, for the reason of *failure*."""
        self.findings.add(
            Finding(
                Kind.SOURCE_LEFT_OUT, done=f"{which} is left out", detail=failure.what
            )
        )

    def file_sets(self, source: OpenedSource) -> list[FileSet]:
        """Return the File-sets of *source*; raises Failure."""
        opened = source.open()
        if not isinstance(opened, Source):
            return self._on(opened, source.dicomdir)
        found = self._image(opened, 1, source.session)
        if found is None:
            raise unsupported(source.name)
        return found

    def _image(
        self, source: Source, depth: int, session: int = 0
    ) -> list[FileSet] | None:
        """Return the File-sets of an image or archive; None if *source* is none.

        Raises Failure.
        """
        # Of a folder nobody needs them, and they take their time to load.
        from dicomfs.media.formats import Ways, formats_of

        ways = Ways(session, self.passwords)
        failures: list[Failure] = []
        try:
            for form in formats_of(source):
                try:
                    medium = form.medium(source, ways)
                    self.findings.extend(medium.findings())
                    return self._in(medium, depth)
                except MediumError as error:
                    failures.append(_damaged(error))
                except Failure as failure:
                    failures.append(failure)
        except OSError as error:
            raise unreadable(error) from error
        if failures:
            raise failures[0]
        return None

    def _on(self, medium: Medium, dicomdir: bytes = b"") -> list[FileSet]:
        if self.scan:
            return scanned(medium, self.findings)
        return open_file_sets(medium, dicomdir, self.findings)

    def _in(self, medium: Medium, depth: int) -> list[FileSet]:
        """Return the File-sets on *medium*, or else those of the images on it."""
        try:
            return self._on(medium)
        except Failure as failure:
            images = list(islice(_images(medium), _MOST_IMAGES))
            if failure.exit_code != Exit.NO_DICOMDIR or depth == _MAX_NESTED:
                raise
            file_sets = [
                file_set
                for place in images
                for file_set in self._inside(medium, place, depth + 1)
            ]
            if not file_sets:
                raise
            return file_sets

    def _inside(self, medium: Medium, place: Path, depth: int) -> list[FileSet]:
        """Return the File-sets of the image at *place*; none, and a finding, if bad."""
        name = b"/".join(place).decode("utf-8", "surrogateescape")
        inner = replace(self, findings=self.findings.about(name))
        try:
            return inner._image(medium.open(place), depth) or []
        except OSError as error:
            inner.leave_out(unreadable(error), "an image")
        except Failure as failure:
            inner.leave_out(failure, "an image")
        return []


def _damaged(error: MediumError) -> Failure:
    return Failure(
        Exit.IMAGE_BROKEN,
        f"the image or archive is damaged: {error}",
        "copy or download it again",
    )


def _images(medium: Medium) -> Iterator[Path]:
    """Yield the places of what is called an image or an archive, in order."""
    level: list[Path] = [()]
    for _ in range(_SEARCH_DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            with suppress(OSError):
                folders = set(medium.folders(folder))
                for name in sorted(medium.names(folder)):
                    if name in folders:
                        below.append((*folder, name))
                    elif name.split(b";")[0].lower().endswith(_IMAGES):
                        yield (*folder, name)
        level = below
