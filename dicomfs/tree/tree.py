"""The tree that people see, made folder by folder out of directory records.

    /                      the root of all File-sets together
    ├── Doe, Jane (12345)  patients
    │   └── ...            studies, series, instances
    ├── Other              root-level records that are not patients, by type
    └── Unlinked           records that nothing links to and that belong nowhere

A folder's listing depends on the records of that folder alone: it is computed when
somebody looks into it, and computed again it comes out the same, unless links between
records turn out to be wrong meanwhile (``Tree.revision``). ``listings`` keeps it.
The tree knows neither FUSE nor threads; ``expand`` may run in any thread.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.types import Level
from dicomfs.errors import DirectoryError
from dicomfs.fileset.fileset import FileSet, Item, Part
from dicomfs.fileset.links import LinksMended
from dicomfs.findings import Finding, Kind
from dicomfs.tree import copies, draft, naming
from dicomfs.tree.completeness import MOST_AWAITED, MOST_CHECKED, Completeness
from dicomfs.tree.draft import Branch, Leaf
from dicomfs.tree.firstlook import Drafts, FirstLook
from dicomfs.tree.headers import Headers
from dicomfs.tree.heads import Claims, Heads
from dicomfs.tree.identity import ROOT_INODE
from dicomfs.tree.listings import Listings
from dicomfs.tree.making import Maker
from dicomfs.tree.selection import Entry, Extra, Instance, Listing, Selection
from dicomfs.tree.series import Series
from dicomfs.tree.sorting import Sorter


class Beside(Protocol):
    """Knows what to make beside what records list."""

    def made(
        self,
        folder: Selection,
        listing: Listing,
        files: Sequence[tuple[Leaf, Instance]],
    ) -> Iterable[Extra]:
        """Return it for *folder*, in which there is *listing*, with these *files* in it."""
        ...


class Tree:
    """The folders of several File-sets, joined by identity."""

    def __init__(
        self,
        file_sets: Sequence[FileSet],
        *,
        read_headers: bool,
        most_checked: int = MOST_CHECKED,
        most_awaited: int = MOST_AWAITED,
    ) -> None:
        """Join *file_sets*; the order in which they are given does not matter.

        *read_headers* lets instances be opened for what their records lack: series
        descriptions, and the patients and studies of records that stand without. Both
        other numbers are those of ``Completeness``.
        """
        self._tops = sorted(file_sets, key=lambda file_set: file_set.identity)
        self.findings = self._tops[0].findings.of_all
        self.headers = Headers(may_be_read=read_headers)
        self._heads = Heads(self.findings)
        self.completeness = Completeness(
            self._tops, most_checked, most_awaited, failed=self._note_failed
        )
        self._first_look = FirstLook()
        # Nothing, unless somebody wants it.
        self.beside: Beside | None = None
        # How often a folder was computed.
        self.listed = 0
        self.listings = Listings(self)
        self._maker = Maker(self.headers, self._heads, self.listings)
        self.root = Selection(
            inode=ROOT_INODE,
            name="",
            parent=None,
            mtime_ns=max(file_set.mtime_ns for file_set in self._tops),
            level=Level.ROOT,
            parts=[],
            lister=self.listings,
        )

    @property
    def file_sets(self) -> list[FileSet]:
        """The File-sets, and those nested in them that were met so far."""
        return self.completeness.file_sets

    @property
    def revision(self) -> int:
        """Counts up when folders have to be computed anew."""
        mended = sum(file_set.revision for file_set in self._tops)
        return mended + self.completeness.is_settled

    @property
    def records(self) -> int:
        """How many records were looked at, of DICOMDIRs that were looked through."""
        return sum(file_set.records for file_set in self.file_sets)

    def check_links(self) -> None:
        """Look at all records of all DICOMDIRs, and mend what is wrong.

        One of several that cannot be read costs only itself; raises OSError or
        DirectoryError if none can.
        """
        failures: list[OSError | DirectoryError] = []
        for file_set in self._tops:
            try:
                file_set.check_links()
                file_set.settling.finish()
            except (OSError, DirectoryError) as error:
                failures.append(error)
                self._note_failed(file_set, error)
        if failures and len(failures) == len(self._tops):
            raise failures[0]

    def complete(self, folder: Selection) -> None:
        """Check the links that what is in *folder* depends on, or wait for who does."""
        if folder.level is Level.ROOT:
            self.completeness.before_root()
        elif folder.unlinked:
            self.completeness.settle()
        else:
            self.completeness.before({part.file_set for part in folder.parts})

    def expand(self, folder: Selection) -> Listing:
        """Compute what is in *folder*, by name and in the order of names, and keep nothing.

        Raises OSError if the medium cannot be read, or its DICOMDIR was changed.
        """
        while True:
            before = {each: each.is_mended for each in self._concerned(folder)}
            is_early = folder.level is Level.ROOT and self.completeness.is_behind
            with suppress(LinksMended):
                listing = self._listing(folder, self.beside)
                # Meanwhile another thread may have found the links to be wrong.
                if all(each.is_mended == was for each, was in before.items()):
                    if is_early:
                        self._first_look.take(listing)
                    return listing

    def _concerned(self, folder: Selection) -> Iterable[FileSet]:
        """Return the File-sets whose links decide what is in *folder*."""
        if folder.level is Level.ROOT or folder.unlinked:
            return self.file_sets
        # Of a shelf of thousands of discs it is one.
        return {part.file_set for part in folder.parts}

    def recorded(self, folder: Selection) -> Listing:
        """Compute what records list in *folder*, and nothing that is beside that.

        For who makes what is beside it, while a folder is expanded; raises as ``expand``,
        and LinksMended for that.
        """
        return self._listing(folder, None)

    def _listing(self, folder: Selection, beside: Beside | None) -> Listing:
        # What is beside images is told by records one by one.
        series = Series.of(folder) if beside is None else None
        if series is not None:
            return self._listing_of(folder, series)
        branches, leaves = self._drafts(folder)
        for branch in branches:
            if branch.level is Level.SERIES:
                self._describe(folder, branch)
        if leaves:
            folder.claims = self._claims(folder)
        draft.number(leaves)
        draft.locate(leaves)
        return self._nodes(folder, branches, leaves, beside)

    def _listing_of(self, folder: Selection, series: Series) -> Listing:
        """Return what is in the *folder* of a *series*."""
        folder.claims = self._claims(folder)
        listing = series.listing()
        if listing is None:
            return self._nodes(folder, [], series.leaves(), None)
        self.listed += 1
        return listing

    def _nodes(
        self,
        folder: Selection,
        branches: Sequence[Branch],
        leaves: list[Leaf],
        beside: Beside | None,
    ) -> Listing:
        """Return what *branches* and *leaves* become in *folder*, by name."""
        leaves = self._instances(folder, leaves)
        names = draft.names(branches, leaves)
        name = iter(names)
        folders = [self._maker.folder(folder, each, next(name)) for each in branches]
        files = [self._maker.file(folder, leaf, next(name)) for leaf in leaves]
        listing: dict[str, Entry] = dict(
            sorted(zip(names, [*folders, *files], strict=True))
        )
        if beside is not None:
            pairs = list(zip(leaves, files, strict=True))
            found = beside.made(folder, listing, pairs)
            extras = {extra.name: extra for extra in found}
            listing = dict(sorted({**listing, **extras}.items()))
        if folder.level is Level.ROOT:
            self._add_unlinked(listing)
        self.listed += 1
        return listing

    def _drafts(self, folder: Selection) -> Drafts:
        """Return what the records of *folder* become, joined; raises OSError."""
        look = self._first_look
        if folder.level is Level.ROOT:
            return look.seen(*self._drafts_of_all(folder))
        if folder.unlinked:
            folder.parts = self._unlinked
        branches, leaves = self._sorted(folder, folder.parts)
        if folder.unlinked:
            late = self._late
            branches, leaves = branches + late.branches, leaves + late.leaves
        return Drafts(draft.joined(branches), leaves)

    @property
    def _unlinked(self) -> list[Part]:
        """What belongs nowhere: entities first, those of all File-sets."""
        parts = [part for each in self.file_sets for part in each.unlinked]
        return sorted(parts, key=lambda part: not part.whole_entity)

    @property
    def _late(self) -> Drafts:
        """What belongs into the root and was found after somebody saw that."""
        if not self._first_look.is_taken or self.completeness.is_behind:
            return Drafts([], [])
        return self._first_look.late(*self._drafts_of_all(self.root))

    def _drafts_of_all(self, root: Selection) -> Drafts:
        """Return what the records of the root entities become in the root.

        A File-set that cannot be read any more costs what only it has, and no more: in
        a folder further down, where files would be missing, it is an error. Raises
        OSError if none can be read.
        """
        roots = {file_set: file_set.roots for file_set in self._tops}
        root.parts = [part for parts in roots.values() for part in parts]
        branches: list[Branch] = []
        leaves: list[Leaf] = []
        failures: list[OSError] = []
        for file_set, parts in roots.items():
            try:
                file_set.check_unchanged()
                drafts = self._sorted(root, parts)
            except OSError as error:
                failures.append(error)
                self._note_failed(file_set, error)
                continue
            branches += drafts.branches
            leaves += drafts.leaves
        if len(failures) == len(self._tops):
            raise failures[0]
        return Drafts(draft.joined(self._first_look.seen_first(branches)), leaves)

    def _note_failed(self, file_set: FileSet, error: OSError | DirectoryError) -> None:
        """Note that a File-set of several cannot be read any more."""
        if len(self._tops) > 1:
            detail = getattr(error, "strerror", None) or str(error)
            finding = Finding(Kind.SOURCE_FAILED, detail=detail)
            file_set.findings.add(finding, key=Kind.SOURCE_FAILED)

    def _instances(self, folder: Selection, leaves: list[Leaf]) -> list[Leaf]:
        """Return the *leaves* that are instances of their own; note what is wrong."""
        instances: list[Leaf] = []
        for leaf in leaves:
            # The DICOMDIR itself is not an instance, whatever its records say.
            if leaf.place and leaf.place == leaf.file_set.place:
                offset, type_ = leaf.record.offset, leaf.record.type
                leaf.file_set.note(Finding(Kind.REFERENCES_ITSELF, offset, type_))
            else:
                instances.append(leaf)
        leaves = copies.once(instances)
        shown = copies.joined(leaves)
        for fault in copies.faults(leaves, shown, folder.path):
            self.findings.add(fault, key=(folder.inode, fault.kind, fault.detail))
        return shown

    def _claims(self, folder: Selection) -> Claims:
        """Return what the records of *folder* and of those above it claim of files."""
        who = folder.attributes.get(Level.PATIENT)
        return Claims(self._heads, folder.key, folder.path, who)

    def _add_unlinked(self, listing: dict[str, Entry]) -> None:
        """Add the folder of what belongs nowhere to the root's.

        It is there if there is anything, and as long as that is not known.
        """
        parts = self._unlinked
        if not parts and self.completeness.is_settled and not any(self._late):
            return
        listing[naming.UNLINKED] = self._maker.unlinked(self.root, parts)

    def _sorted(self, folder: Selection, parts: Sequence[Part]) -> Drafts:
        """Return what the records of *parts* become in *folder*; raises OSError."""
        for file_set in {part.file_set for part in parts}:
            file_set.check_unchanged()
        sorter = Sorter(folder, self.headers)
        for part in parts:
            for item in part.file_set.children(part):
                sorter.add(item)
        return Drafts(sorter.branches, sorter.leaves)

    def _describe(self, folder: Selection, branch: Branch) -> None:
        """Give a series its description; that of an instance if its record has none."""
        branch.description = branch.attributes.text(tags.SERIES_DESCRIPTION)
        if branch.description or not self.headers.may_be_read:
            return
        branch.header = self.headers.below(
            branch.file_set, branch.record, self._describing(folder, branch)
        )
        if branch.header is not None:
            branch.description = branch.header.text(tags.SERIES_DESCRIPTION)
        elif branch.parts:
            offset, type_ = branch.record.offset, branch.record.type
            branch.file_set.note(
                Finding(Kind.HEADER_UNREADABLE, offset, type_, folder.path)
            )

    def _describing(
        self, folder: Selection, branch: Branch
    ) -> Callable[[Item, Attributes], bool]:
        """Return what says whether a header may describe a series, and looks at it."""

        def suits(item: Item, header: Attributes) -> bool:
            claims = self._claims(folder)._replace(key=branch.position)
            return claims.describes(item, header, branch.uid)

        return suits
