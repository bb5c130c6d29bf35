"""Files that may be the same instance: which are joined, and what is said about it.

Equal UIDs are a claim, and so are equal sizes: there are writers that give all slices
of a series one UID. On one medium two files are two entries, whatever they claim. Files
of several media are taken for copies where nothing speaks against it.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Final

from dicomfs.findings import Finding, Kind
from dicomfs.tree.draft import Leaf
from dicomfs.tree.selection import Copy

_FEW: Final = 5
_DONE: Final = {
    Kind.REPEATED_INSTANCE: "listed once",
    Kind.ASSUMED_COPIES: "one of them is listed",
    Kind.DUPLICATE_INSTANCE: "all are listed",
}


def once(leaves: Sequence[Leaf]) -> list[Leaf]:
    """Return *leaves* without those that list a file again, as for each of its frames."""
    result: dict[Hashable, Leaf] = {}
    for leaf in leaves:
        if leaf.place:
            key: Hashable = id(leaf.file_set.medium), leaf.place, leaf.uid
        else:
            key = id(leaf.file_set), leaf.file_id, leaf.uid
        if (first := result.setdefault(key, leaf)) is not leaf:
            first.times += 1
    return list(result.values())


def joined(leaves: Sequence[Leaf]) -> list[Leaf]:
    """Return *leaves*, each a file of its own, without those that are copies of others.

    Which of them stays is the same on every mount: one that can be opened, on the
    medium whose File-set has the lowest identity.
    """
    if len({id(leaf.file_set.medium) for leaf in leaves}) < 2:
        return list(leaves)
    alike: dict[bytes, list[Leaf]] = defaultdict(list)
    for leaf in leaves:
        if leaf.uid:
            alike[leaf.uid].append(leaf)
    dropped: set[Leaf] = set()
    for group in alike.values():
        if len(group) > 1 and _are_copies(group):
            first, *others = sorted(group, key=_order)
            first.copies = tuple(_copy(leaf) for leaf in others if not leaf.error)
            dropped.update(others)
    return [leaf for leaf in leaves if leaf not in dropped]


def _are_copies(alike: Sequence[Leaf]) -> bool:
    """Whether leaves of one UID are of one instance, each on another medium.

    Nothing is known of the size of a file that cannot be opened.
    """
    media = {id(leaf.file_set.medium) for leaf in alike}
    sizes = {leaf.size for leaf in alike if not leaf.error}
    numbers = {leaf.number for leaf in alike}
    return len(media) == len(alike) and len(sizes) <= 1 and len(numbers) == 1


def _order(leaf: Leaf) -> tuple[bool, bytes, int]:
    return bool(leaf.error), *leaf.position


def _copy(leaf: Leaf) -> Copy:
    return Copy(leaf.file_set, leaf.place, leaf.mtime_ns, leaf.changed_ns)


def faults(
    leaves: Sequence[Leaf], shown: Sequence[Leaf], where: tuple[str, ...]
) -> Iterator[Finding]:
    """Yield what is wrong with the files of *leaves*, which folder *where* consists of.

    Some of them are *shown*; the others are copies of those.
    """
    bad: dict[tuple[Kind, str, str], list[Leaf]] = defaultdict(list)
    for leaf in leaves:
        if leaf.fault is not None:
            # What is missing, or refused, is just that.
            reason = leaf.reason if leaf.fault is Kind.UNREADABLE_FILE else ""
            bad[leaf.fault, leaf.file_set.findings.source, reason].append(leaf)
    uids = Counter(leaf.uid for leaf in shown if leaf.fault is None)
    for leaf in shown:
        for kind in _said_of(leaf, uids[leaf.uid]):
            bad[kind, leaf.file_set.findings.source, ""].append(leaf)
    of = Counter(leaf.file_set.findings.source for leaf in leaves)
    for (kind, source, reason), alike in bad.items():
        record = alike[0].record
        files = tuple(_as_path(leaf.file_id) for leaf in alike[:_FEW])
        yield Finding(
            kind,
            record.offset,
            record.type,
            where,
            len(alike),
            of[source],
            done=_DONE.get(kind, "listed; opening it fails"),
            detail=reason,
            files=files,
            source=source,
        )


def _said_of(leaf: Leaf, alike: int) -> Iterator[Kind]:
    """Yield what is to be said of *leaf*, one of so many with its UID."""
    if leaf.times > 1:
        yield Kind.REPEATED_INSTANCE
    if leaf.copies:
        yield Kind.ASSUMED_COPIES
    if leaf.uid and alike > 1 and leaf.fault is None:
        yield Kind.DUPLICATE_INSTANCE


def _as_path(file_id: bytes) -> str:
    return file_id.decode("utf-8", "replace").replace("\\", "/")
