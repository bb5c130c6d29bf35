"""Notes of what is wrong with links, and of what was done about it."""

from collections import Counter
from typing import Final

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.index import BRANCH_KIND, INACTIVE, Index
from dicomfs.dicomdir.recovery.forest import NONE
from dicomfs.findings import Finding, Kind

_MOST_FINDINGS: Final = 100
_TYPE_NAMES: Final = {
    int(Level.PATIENT): "PATIENT",
    int(Level.STUDY): "STUDY",
    int(Level.SERIES): "SERIES",
    int(Level.INSTANCE): "instance",
    BRANCH_KIND: "PRIVATE",
}


class Notes:
    """Findings about the records of *index*; only the first ones of very many alike."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._findings: list[Finding] = []
        self.counts: Counter[Kind] = Counter()

    def add(self, kind: Kind, at: int = NONE, *, done: str) -> None:
        """Note something about the record *at*, or about all, and what was *done*."""
        self.counts[kind] += 1
        if self.counts[kind] > _MOST_FINDINGS:
            return
        if at < 0:
            self._findings.append(Finding(kind, done=done))
            return
        type_ = _TYPE_NAMES.get(self._index.kinds[at] & (INACTIVE - 1), "")
        offset = self._index.offsets[at]
        self._findings.append(Finding(kind, offset, type_, done=done))

    def findings(self) -> list[Finding]:
        """Return what was noted, and how much more there was."""
        return self._findings + [
            Finding(kind, count=count - _MOST_FINDINGS, detail="and more of them")
            for kind, count in self.counts.items()
            if count > _MOST_FINDINGS
        ]
