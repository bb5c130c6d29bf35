"""Reading whole media to say what is wrong with them, as fsck does with a disk.

    the index     every record and link
    the tree      which of the listed files there are
    the files     every byte, and whether header and records agree
    the media     what lies on them and no record lists

Only findings are kept, grouped by folder, so that memory does not grow with the medium.
A file or folder that does not answer costs itself; where nothing does, the check ends.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from dicomfs.check.listed import ListedFiles, Where
from dicomfs.check.meter import Meter, Tell
from dicomfs.check.readability import GONE
from dicomfs.check.records import Keys, character_set_fault
from dicomfs.check.seen import Seen
from dicomfs.check.unlisted import (
    MOST_NAMED,
    add_listed,
    named,
    walk,
)
from dicomfs.dicom import tags
from dicomfs.dicom.types import FOREIGN_TYPES, IMAGE, Level
from dicomfs.errors import DirectoryError
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.links import LinkCheck
from dicomfs.fileset.patience import Workers
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.medium import Medium, Place, shown
from dicomfs.source.pulse import DEADLINE
from dicomfs.tree import report
from dicomfs.tree.report import Progress, Report, Stage
from dicomfs.tree.selection import Instance, Listing, Selection
from dicomfs.tree.tree import Tree
from dicomfs.tree.verdict import Tally

_BATCH: Final = 500
_NOT_SHOWN: Final = "not shown; to see it, give its folder as a SOURCE, too"
# Enough to keep a server busy while headers are looked at.
_THREADS: Final = 4
# Without such a source, what was looked at is not all that there is.
_LOST: Final = frozenset({Kind.SOURCE_LEFT_OUT, Kind.SOURCE_FAILED})


def check(
    file_sets: Sequence[FileSet],
    tell: Tell = lambda *_: None,
    *,
    index_only: bool = False,
    is_scan: bool = False,
    deadline: float = DEADLINE,
) -> Report:
    """Read everything on the media of *file_sets*, and report on it.

    What is found joins the findings of the File-sets; *tell* hears how many of what
    were looked at. With *index_only* no file is opened; *is_scan* says that a scan made
    the indexes. What does not answer for *deadline* seconds is given up. A medium that
    is gone in between ends the check, and the report says so.
    """
    tree = Tree(file_sets, read_headers=not index_only)
    # More than one would make a drive seek, and would wait for each other anyway.
    in_turn = all(each.medium.in_turn for each in file_sets)
    workers = Workers(1 if in_turn else _THREADS, deadline, "check")
    run = _Check(tree, tell, workers, opens_files=not index_only, is_scan=is_scan)
    whole = Workers(1, deadline, "check")
    try:
        whole.ask(run.everything)
    except TimeoutError as error:
        run.end_early(error)
    finally:
        workers.end()
        whole.end()
    return run.report()


class _Check:
    """One run."""

    def __init__(
        self,
        tree: Tree,
        tell: Tell,
        workers: Workers,
        *,
        opens_files: bool,
        is_scan: bool,
    ) -> None:
        self._opens_files = opens_files
        self._is_scan = is_scan
        self._tree = tree
        self._findings = tree.findings
        self._meter = Meter(tell)
        self._workers = workers
        self._complete: set[Stage] = set()
        self._failure = ""
        # Studies, alone and with their patient's folder.
        self._studies = Seen()
        self._files = ListedFiles(workers, self._end_if_gone, self._meter)
        # Files that records list, in the folders that were looked through, and others.
        self._listed = self._there = self._whole = self._unlisted = 0
        self._types: set[str] = set()
        self._is_all = True

    def report(self) -> Report:
        """Return the report on what was looked at so far."""
        progress = [
            Progress(stage, self._meter.count(stage), stage in self._complete)
            for stage in Stage
        ]
        tally = Tally(
            self._listed,
            self._there,
            self._whole,
            self._unlisted,
            are_images=self._types <= {IMAGE},
            reads_files=self._opens_files,
            is_scan=self._is_scan,
            is_all=self._is_all,
            media=len({each.medium for each in self._tree.file_sets}),
        )
        return report.make(self._findings, progress, self._failure, tally)

    def end_early(self, error: OSError) -> None:
        """Know that *error* has ended it."""
        self._failure = f"the medium cannot be read: {error.strerror}"

    def everything(self) -> None:
        """Look at the index, the tree with all files, and the rest of the media."""
        try:
            listed = self._look_at_index()
            self._look_at_tree()
            if self._opens_files:
                self._look_at_media(listed)
        except OSError as error:
            self.end_early(error)
        lost = {each.source for each in self._findings.all() if each.kind in _LOST}
        if lost and not self._failure:
            self._failure = f"{len(lost)} of several sources could not be read"
            self._complete.clear()

    def _look_at_index(self) -> dict[Medium, Seen]:
        """Look at all records; return the places of the files that they list."""
        self._tree.check_links()
        if all(each.link_check is LinkCheck.WHOLE for each in self._tree.file_sets):
            self._meter.expect(Stage.INDEX, self._tree.records)
        places: dict[Medium, Seen] = {}
        # Those nested in them join while their records are gone through.
        file_sets = self._tree.file_sets
        for file_set in file_sets:
            listed = places.setdefault(file_set.medium, Seen())
            listed.add(file_set.place)
            try:
                nested = self._look_at_records(file_set, listed)
            except (OSError, DirectoryError) as error:
                self._lose(file_set, error)
            else:
                file_sets += [each for each in nested if each not in file_sets]
        self._complete.add(Stage.INDEX)
        return places

    def _look_at_records(self, file_set: FileSet, listed: Seen) -> list[FileSet]:
        """Look at the records of *file_set*; return the File-sets nested in it."""
        file_set.check_links()
        found: list[FileSet] = []
        keys = Keys()
        items = file_set.everything()
        while batch := list(islice(items, _BATCH)):
            for item in (each for each in batch if each.record.in_use):
                keys.add(item.record)
                if item.file_id and item.record.type not in FOREIGN_TYPES:
                    self._types.add(item.record.type)
                if (nested := item.nested) is not None:
                    found.append(nested)
            self._meter.expect(Stage.FILES, *add_listed(listed, file_set, batch))
            self._meter.add(Stage.INDEX, len(batch))
        for finding in keys.findings():
            file_set.note(finding)
        return found

    def _lose(self, file_set: FileSet, error: OSError | DirectoryError) -> None:
        """Go on without one of several sources; raises *error* if it is the only one."""
        if not self._is_one_of_several:
            raise error
        finding = Finding(Kind.SOURCE_FAILED, detail=str(error))
        file_set.findings.add(finding, key=Kind.SOURCE_FAILED)

    @property
    def _is_one_of_several(self) -> bool:
        """Whether there is another source when one is gone."""
        return len({each.findings.source for each in self._tree.file_sets}) > 1

    def _end_if_gone(self, error: OSError) -> None:
        """Raise *error* if it means that no file of the only medium can be read."""
        if error.errno in GONE and not self._is_one_of_several:
            raise error

    # -- the tree and its files --------------------------------------------------------

    def _look_at_tree(self) -> None:
        waiting: list[tuple[Selection, Where]] = [(self._tree.root, ())]
        while waiting:
            folder, where = waiting.pop()
            nodes = self._expand(folder, where)
            texts = self._look_at_files(folder, where, nodes)
            below = [
                (node, (*where, name))
                for name, node in nodes.items()
                if isinstance(node, Selection)
            ]
            for each in below:
                self._look_at_study(*each)
            self._look_at_text(where, nodes, texts)
            waiting += reversed(below)
        self._complete.add(Stage.FOLDERS)
        if self._opens_files:
            self._complete.add(Stage.FILES)

    def _expand(self, folder: Selection, where: Where) -> Listing:
        """Return what is in *folder*; nothing, and a finding, where it is unreadable."""
        try:
            nodes = self._workers.ask(folder.children)
        except OSError as error:
            self._end_if_gone(error)
            self._is_all = False
            detail = error.strerror or ""
            source = _sources(folder)
            self._findings.add(
                Finding(
                    Kind.UNREADABLE_FOLDER, where=where, detail=detail, source=source
                )
            )
            return {}
        # Nobody will ask again, and memory must not grow with the medium.
        folder.forget()
        self._meter.add(Stage.FOLDERS)
        return nodes

    def _look_at_study(self, folder: Selection, where: Where) -> None:
        """See whether another patient has the same study."""
        if folder.level is not Level.STUDY or (said := folder.own_attributes) is None:
            return
        uid = said.raw(tags.STUDY_INSTANCE_UID)
        if not uid:
            return
        here = uid, where[:-1]
        if uid in self._studies and here not in self._studies:
            source = _sources(folder)
            self._findings.add(Finding(Kind.SPLIT_STUDY, where=where, source=source))
        self._studies.add(uid)
        self._studies.add(here)

    def _look_at_text(
        self, where: Where, nodes: Listing, texts: Mapping[Instance, str]
    ) -> None:
        """See whether the text of the records in a folder can be read for sure.

        *texts* has what is known of that already.
        """
        told = Counter[tuple[str, str]]()
        # Folders first: what is wrong with them is told first.
        listed = [
            each for each in nodes.values() if isinstance(each, Instance | Selection)
        ]
        for node in sorted(listed, key=lambda each: not each.is_folder):
            fault = None if node.is_folder else texts.get(node)
            if fault is None and (said := node.own_attributes) is not None:
                fault = character_set_fault(said)
            if fault is not None:
                told[fault, _source(node)] += 1
        for (fault, source), count in told.items():
            if fault:
                self._findings.add(
                    Finding(
                        Kind.CHARACTER_SET,
                        where=where,
                        count=count,
                        of=len(nodes),
                        detail=fault,
                        source=source,
                    )
                )

    def _look_at_files(
        self, folder: Selection, where: Where, nodes: Listing
    ) -> Mapping[Instance, str]:
        """Look at the files in *folder*; return what is wrong with their texts."""
        texts: Mapping[Instance, str] = {}
        files = [node for node in nodes.values() if isinstance(node, Instance)]
        if self._opens_files:
            findings, whole, texts = self._files.look_at(
                files, where, folder.attributes
            )
            self._know_files(folder)
            self._findings.extend(findings)
            self._whole += whole
        self._listed += len(files)
        self._there += sum(not each.error for each in files)
        return texts

    def _know_files(self, folder: Selection) -> None:
        """Forget what listing *folder* could only suppose, and is known by now."""
        for kind in (Kind.ASSUMED_COPIES, Kind.DUPLICATE_INSTANCE):
            self._findings.withdraw(kind, (folder.inode, kind, ""))
        for kind in (Kind.UID_DISAGREES, Kind.PATIENT_DISAGREES):
            self._findings.withdraw(kind, (folder.key, kind))

    # -- the rest of the media ---------------------------------------------------------

    def _look_at_media(self, listed: Mapping[Medium, Seen]) -> None:
        about = _about_media(self._tree.file_sets)
        for medium, places in listed.items():
            try:
                self._look_at_medium(medium, places, about[medium])
            except OSError as error:
                if not self._is_one_of_several:
                    raise
                finding = Finding(Kind.SOURCE_FAILED, detail=error.strerror or "")
                about[medium].add(finding, key=Kind.SOURCE_FAILED)
        self._complete.add(Stage.MEDIUM)

    def _look_at_medium(self, medium: Medium, listed: Seen, findings: Findings) -> None:
        others, documents, directories = _Some(), _Some(), _Some()
        shown = {each.place[:-1] for each in self._tree.file_sets if each.place}
        for looked in walk(medium, listed, self._workers):
            self._meter.add(Stage.MEDIUM)
            findings.extend(looked.findings)
            self._unlisted += sum(
                each.count
                for each in looked.findings
                if each.kind is Kind.UNLISTED_INSTANCE
            )
            others.add(looked.others)
            documents.add(looked.documents)
            # Beside the one that is shown it is an older one, or a copy.
            (others if looked.folder in shown else directories).add(looked.directories)
        for kind, some, done in (
            (Kind.INDEX_BESIDE, directories, _NOT_SHOWN),
            (Kind.UNLISTED_DOCUMENT, documents, ""),
            (Kind.UNLISTED_FILE, others, ""),
        ):
            if some.count:
                files = named(some.first)
                finding = Finding(kind, count=some.count, done=done, files=files)
                findings.add(finding, key=kind)


def _source(node: Instance | Selection) -> str:
    """Return which of several sources *node* is of, the first of joined ones."""
    if node.is_folder:
        return node.origin.file_set.findings.source if node.origin else ""
    return node.file_set.findings.source


def _sources(folder: Selection) -> str:
    """Return which of several sources have something of *folder*."""
    return ", ".join(sorted({part.file_set.findings.source for part in folder.parts}))


class _Some:
    """How many places there are of some kind, and the *first* of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Place] = []

    def add(self, places: Sequence[Place]) -> None:
        """Count *places*, too."""
        self.count += len(places)
        self.first += places[: MOST_NAMED - len(self.first)]


def _about_media(file_sets: Sequence[FileSet]) -> dict[Medium, Findings]:
    """Return where to add findings about each medium as a whole."""
    by_medium: dict[Medium, list[FileSet]] = {}
    for each in file_sets:
        if not each.is_nested:
            by_medium.setdefault(each.medium, []).append(each)
    about: dict[Medium, Findings] = {}
    for medium, alike in by_medium.items():
        about[medium] = alike[0].findings
        if len(alike) > 1:
            # Each of several DICOMDIRs on a medium is told apart by its place.
            place = shown(alike[0].place)
            source = about[medium].source.removesuffix(place).rstrip("/")
            of_all = about[medium].of_all
            about[medium] = of_all.about(source) if source else of_all
    return about
