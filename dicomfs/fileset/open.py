"""The sources of a mount: what medium each one is, and the File-sets on all of them.

Several sources are joined to one tree, and an archive may hold images that have
File-sets. A source that is of no use costs only itself, unless there is no other.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, islice
from operator import attrgetter
from os import fsdecode
from typing import Final

from dicomfs import logs
from dicomfs.errors import Failure, MediumError, Problem, SplitError
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.listener import NOBODY, Listener
from dicomfs.fileset.patience import answers
from dicomfs.fileset.scan import scanned
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.archive import Archive
from dicomfs.media.foreign import foreign
from dicomfs.media.medium import Capacity, EntryType, Medium, Place, shown
from dicomfs.media.opening import (
    Bytes,
    Files,
    OpenedSource,
    is_image,
    unreadable,
    unsupported,
)
from dicomfs.media.walk import Walk
from dicomfs.source.pulse import DEADLINE
from dicomfs.source.source import Source

log = logging.getLogger(__name__)

Result = list[FileSet] | Failure

# Images in archives: how deep in folders they are sought, how deep archives may lie in
# each other, and how many of them are opened.
_SEARCH_DEPTH: Final = 3
_MAX_NESTED: Final = 3
_MOST_IMAGES: Final = 1000
# How an image ends that is most likely none, or none of ours.
_NO_FILE_SET: Final = frozenset(
    {Problem.NO_DICOMDIR, Problem.NO_INSTANCE, Problem.ONLY_PACKED}
)
# What may be a viewer's own.
_BESIDE: Final = _NO_FILE_SET | {Problem.SOURCE_FOREIGN}
_NOTHING_THERE: Final = _NO_FILE_SET | {
    Problem.SOURCE_UNSUPPORTED,
    Problem.NESTED_TOO_DEEP,
}


def file_sets_of(
    sources: Sequence[OpenedSource],
    findings: Findings,
    *,
    scan: bool = False,
    passwords: Sequence[bytes] = (),
    charset: bytes = b"",
    deadline: float = DEADLINE,
    listener: Listener = NOBODY,
) -> list[FileSet]:
    """Return the File-sets of all *sources*, which it owns from here on.

    They are found by their DICOMDIRs, or by a *scan* made of their files. One of
    several sources of which nothing is heard for *deadline* seconds is left out. All
    text is read in *charset*, if one is given, wherever the bytes do not prove something
    else. The *listener* hears what is left out. Raises the Failure of the first source
    if none has a File-set.
    """
    if len(sources) == 1:
        openings = [_Opening(findings, scan, passwords, listener, deadline)]
        results = _results(openings, sources)
    else:
        called = [f"source {n} of {len(sources)}" for n in range(1, len(sources) + 1)]
        openings = [
            _Opening(
                findings.about(source.name, each),
                scan,
                passwords,
                listener,
                deadline,
                each,
            )
            for source, each in zip(sources, called, strict=True)
        ]
        results = _results(openings, sources)
        for opening, result in zip(openings, results, strict=True):
            if isinstance(result, Failure):
                opening.leave_out(result)
    file_sets = [
        each for result in results if isinstance(result, list) for each in result
    ]
    if not file_sets:
        raise next(each for each in results if isinstance(each, Failure))
    _tell_apart(file_sets)
    for file_set in file_sets:
        file_set.shared.charset = charset
        # Of several, their findings say which one it is.
        file_set.shared.source = sources[0].name if len(sources) == 1 else ""
    return file_sets


def _results(
    openings: Sequence["_Opening"], sources: Sequence[OpenedSource]
) -> list[Result]:
    """Return what each of *openings* gives for its source, in their order."""
    together = zip(openings, sources, strict=True)
    questions = [partial(opening.attempt, source) for opening, source in together]
    deadline = openings[0].deadline
    if openings[0].scan:
        # One index takes its memory while it is made, and the status line is one, too.
        found = [each for one in questions for each in answers([one], deadline)]
    else:
        found = answers(questions, deadline)
    return [_silent() if each is None else each for each in found]


def _silent() -> Failure:
    return Failure(Problem.SOURCE_SILENT)


def capacity_of(file_sets: Sequence[FileSet]) -> Capacity:
    """Return how large the media of *file_sets* are together, as far as they say it."""
    media = {id(each.medium): each.medium for each in file_sets}.values()
    capacities = [Capacity(1, 0)]
    for medium in media:
        with suppress(OSError):
            capacities.append(medium.capacity())
    block = max(each.block for each in capacities)
    blocks = sum(-(-each.block * each.blocks // block) for each in capacities)
    return Capacity(block, blocks)


def listen(file_sets: Iterable[FileSet]) -> None:
    """Let the archives of *file_sets* add to the findings what they find out later."""
    for each in file_sets:
        if isinstance(each.medium, Archive):
            each.medium.note = each.findings.add


def _tell_apart(file_sets: Sequence[FileSet]) -> None:
    """Give copies of one disc identities that do not depend on the order of sources."""
    by_source = sorted(
        file_sets, key=lambda each: (each.identity, each.findings.source)
    )
    for _, alike in groupby(by_source, attrgetter("identity")):
        for number, file_set in enumerate(islice(list(alike), 1, None)):
            file_set.tell_apart(b" copy %d" % number)


@dataclass(frozen=True, slots=True)
class _Opening:
    """Opens one source; *findings* are about that source, a log calls it *which*."""

    findings: Findings
    scan: bool
    passwords: Sequence[bytes]
    listener: Listener
    deadline: float
    which: str = "the medium"

    def attempt(self, source: OpenedSource) -> Result:
        """Return the File-sets of *source*, or why it has none."""
        try:
            return self._file_sets(source)
        except Failure as failure:
            return failure
        except Exception as error:  # noqa: BLE001 - it costs this source only
            logs.unforeseen(log, "a source", error)
            return Failure(Problem.UNFORESEEN, reason=logs.place_of(error))

    def leave_out(self, failure: Failure) -> None:
        """Note that the source has no File-set, for the reason of *failure*."""
        done = f"{self.which} is left out"
        self.findings.add(Finding(Kind.SOURCE_LEFT_OUT, done=done, detail=str(failure)))
        self.listener.left_out(self.findings.source, failure)

    def _file_sets(self, source: OpenedSource) -> list[FileSet]:
        """Return the File-sets of *source*; raises Failure."""
        opened = source.open()
        if isinstance(opened, Files):
            with _closed_if_of_no_use(opened.medium):
                return self._of_folder(opened, source.name)
        return self._of_bytes(opened, 1, source.name)

    def _of_folder(self, opened: Files, path: str) -> list[FileSet]:
        """Return the File-sets in a folder; raises Failure."""
        try:
            return self._listed(opened.medium, opened.dicomdir, path)
        except Failure as failure:
            if failure.problem not in _NO_FILE_SET or not _images(opened.medium, 0):
                raise
            raise Failure(Problem.ONLY_IMAGES) from failure

    def _listed(
        self, medium: Medium, dicomdir: bytes = b"", path: str = ""
    ) -> list[FileSet]:
        """Return the File-sets of the files on *medium*; raises Failure."""
        if self.scan:
            return scanned(
                medium, self.findings, self.which, self.listener, self.deadline
            )
        return open_file_sets(
            medium, dicomdir, self.findings, self.listener, path, self.deadline
        )

    def _of_bytes(self, opened: Bytes, depth: int, name: str) -> list[FileSet]:
        """Return the File-sets of the image or archive of this *name*.

        It lies in *depth* - 1 others. Raises Failure.
        """
        # A folder does not need them, and they take their time to load.
        from dicomfs.media.formats import Ways, formats_of

        ways = Ways(opened.session, self.passwords)
        failures: list[Failure] = []
        with _closed_if_of_no_use(opened.source):
            try:
                for form in formats_of(opened.source):
                    try:
                        medium = form.medium(opened.source, ways)
                        self.findings.extend(medium.findings())
                        return self._of_archive(medium, depth, is_listed=form.is_listed)
                    except MediumError as error:
                        failures.append(_damaged(error))
                    except Failure as failure:
                        failures.append(failure)
            except OSError as error:
                raise unreadable(error) from error
            raise failures[0] if failures else _unsupported(opened.source, name)

    def _of_archive(
        self, medium: Medium, depth: int, *, is_listed: bool
    ) -> list[FileSet]:
        """Return the File-sets on *medium*, and those of the images on it.

        Images beside a DICOMDIR are sought only where all names are known already, as
        *is_listed* says. Raises Failure.
        """
        own: list[FileSet] = []
        reason = None
        try:
            own = self._listed(medium)
        except Failure as failure:
            reason = failure
        if not is_listed and (reason is None or reason.problem not in _NO_FILE_SET):
            places = []
        else:
            places = _images(medium, self._depth(own))
        inner, failures = self._of_images(medium, places, depth + 1)
        if reason is not None and not inner:
            raise _most_telling(failures, reason)
        self._leave_out(failures, len(places), has_own=bool(own))
        if reason is not None and reason.problem not in _NO_FILE_SET:
            self.findings.add(Finding(Kind.INDEX_LEFT_OUT, detail=str(reason)))
        return own + inner

    def _depth(self, own: Sequence[FileSet]) -> int:
        """Return how deep images are sought beside File-sets: as deep as those lie."""
        if self.scan:
            return _SEARCH_DEPTH
        return max((len(each.place) - 1 for each in own), default=_SEARCH_DEPTH)

    def _of_images(
        self, medium: Medium, places: Sequence[Place], depth: int
    ) -> tuple[list[FileSet], "list[_Missed]"]:
        """Return the File-sets of the images at *places*, and which have none."""
        file_sets: list[FileSet] = []
        failures: list[_Missed] = []
        for place in places[:_MOST_IMAGES]:
            name = shown(place)
            inner = replace(self, findings=self.findings.about(name), which="an image")
            try:
                file_sets += inner._of_image(medium, place, depth, name)
            except Failure as failure:
                failures.append((inner, name, failure))
        return file_sets, failures

    def _of_image(
        self, medium: Medium, place: Place, depth: int, name: str
    ) -> list[FileSet]:
        """Return the File-sets of the image at *place*; raises Failure."""
        if depth > _MAX_NESTED:
            raise Failure(Problem.NESTED_TOO_DEEP, name=name)
        try:
            source = medium.open(place)
        except OSError as error:
            raise unreadable(error) from error
        return self._of_bytes(Bytes(source), depth, name)

    def _leave_out(
        self, failures: "Sequence[_Missed]", images: int, *, has_own: bool
    ) -> None:
        """Note which of so many *images* in an archive are of no use."""
        if (more := images - _MOST_IMAGES) > 0:
            done = f"those behind the first {_MOST_IMAGES} images are left out"
            self.findings.add(Finding(Kind.SOURCE_LEFT_OUT, count=more, done=done))
            failure = Failure(Problem.TOO_MANY_IMAGES, count=more, most=_MOST_IMAGES)
            self.listener.left_out(self.findings.source, failure)
        for inner, _, reason in failures:
            # Beside a DICOMDIR lie viewers, too.
            if not has_own or reason.problem not in _BESIDE:
                inner.leave_out(reason)


# An image that has no File-set: who tried it, what it is called there, and why.
_Missed = tuple[_Opening, str, Failure]


def _most_telling(failures: Sequence[_Missed], otherwise: Failure) -> Failure:
    """Return why no image has a File-set: what is wrong with the first that is one."""
    for _, name, failure in failures:
        if failure.problem not in _NOTHING_THERE:
            return failure.found_in(name)
    return otherwise


@contextmanager
def _closed_if_of_no_use(each: Medium | Source) -> Iterator[None]:
    """Close a medium or source if something that is done with it fails."""
    try:
        yield
    except BaseException:
        each.close()
        raise


def _unsupported(source: Source, name: str) -> Failure:
    """Return the Failure for a *source* of this *name* that is none of our formats."""
    kind = None
    with suppress(OSError):
        kind = foreign(source)
    if kind is None:
        return unsupported(name)
    return Failure(Problem.SOURCE_FOREIGN, name=name, reason=kind.value, kind=kind.name)


def _damaged(error: MediumError) -> Failure:
    if isinstance(error, SplitError):
        return Failure(Problem.ARCHIVE_SPLIT)
    return Failure(Problem.IMAGE_BROKEN, reason=error)


def _images(medium: Medium, depth: int) -> list[Place]:
    """Return the places of what is called an image or an archive, so deep, in order."""
    return [
        (*folder.place, name)
        for folder in Walk(medium, depth=depth, by_level=True)
        for name, what in folder.entries.items()
        if what is not EntryType.FOLDER and is_image(fsdecode(name))
    ]
