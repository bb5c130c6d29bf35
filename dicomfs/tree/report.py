"""The report on a medium: what is wrong with it, and how much of it was looked at.

The same for ``dicomfs check`` and for the mount's own ``/.dicomfs/report.txt`` and
``report.json``. Names in it are those of patients: it is for who asked, not for a log.
Both forms are safe to print on a terminal, whatever a medium calls its files.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from operator import attrgetter
from typing import Final

from dicomfs.counting import counted
from dicomfs.fileset.links import LinkCheck
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.printable import printable, printable_json
from dicomfs.tree.tree import Tree
from dicomfs.tree.verdict import Tally, Verdict, sentence

SCHEMA: Final = 2

Json = dict[str, object]

_INDENT: Final = "  "
# What so many of so many are.
_ARE: Final = {
    Kind.MISSING_FILE: " missing",
    Kind.REFUSED_PATH: " refused",
    Kind.UNREADABLE_FILE: " unreadable",
    Kind.FILE_CUT_OFF: " cut off",
}


class Stage(Enum):
    """What can be looked at: its code, and what is counted."""

    INDEX = "index", "records of the DICOMDIR, and the links between them"
    FOLDERS = "folders", "folders that a mount shows, and whether their files are there"
    FILES = "files", "listed files: every byte, and whether the records agree with them"
    MEDIUM = "medium", "folders of the medium, for files that are not in its index"

    def __init__(self, code: str, meaning: str) -> None:
        self.code = code
        self.meaning = meaning


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a *stage* is: how many were looked at, and whether that was all.

    *note* says in words why it was not, or what else is to be known.
    """

    stage: Stage
    count: int = 0
    is_complete: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Findings, those kinds of which there are more, and the progress of all stages.

    *failure* says why the medium could not be read to the end, empty if it could. The
    *tally* is that of a check; of a mount there is none.
    """

    findings: Sequence[Finding]
    more: frozenset[Kind]
    progress: Sequence[Progress]
    failure: str = ""
    tally: Tally | None = None

    @property
    def verdict(self) -> Verdict:
        """What all of it comes to."""
        if not self.is_complete or self.failure:
            return Verdict.UNFINISHED
        if self.faults:
            return Verdict.FAULTS
        return Verdict.SOUND_WITH_REMARKS if self.remarks else Verdict.SOUND

    @property
    def sentence(self) -> str:
        """What all of it comes to, for people."""
        folders = sum(e.count for e in self.progress if e.stage is Stage.FOLDERS)
        return sentence(self.tally, folders, self.failure)

    @property
    def is_complete(self) -> bool:
        """Whether all was looked at that can be."""
        return all(each.is_complete for each in self.progress)

    @property
    def faults(self) -> int:
        """How many faults were found."""
        return sum(each.count for each in self.findings if each.kind.is_fault)

    @property
    def remarks(self) -> int:
        """How much is worth a remark."""
        return sum(each.count for each in self.findings if not each.kind.is_fault)


def make(
    findings: Findings,
    progress: Sequence[Progress],
    failure: str = "",
    tally: Tally | None = None,
) -> Report:
    """Return the report on what was found so far; missing stages were not begun."""
    known = {each.stage: each for each in progress}
    stages = [known.get(stage, Progress(stage)) for stage in Stage]
    return Report(findings.all(), findings.more(), stages, failure, tally)


def of(tree: Tree) -> Report:
    """Return the report on what a mount knows so far of *tree*."""
    checks = [file_set.link_check for file_set in tree.file_sets]
    is_whole = all(each is LinkCheck.WHOLE for each in checks)
    index = Progress(
        Stage.INDEX,
        tree.records,
        is_whole,
        "" if is_whole else "; ".join(sorted({each.value for each in checks})),
    )
    folders = Progress(Stage.FOLDERS, tree.listed, note="those that were looked into")
    return make(tree.findings, [index, folders])


def as_text(report: Report) -> str:
    """Return *report* for people: a sentence, faults, remarks, and how far it goes."""
    return "\n".join([*_lines(report), ""])


def as_json(report: Report) -> str:
    """Return *report* for programs, as one JSON object."""
    whole: Json = {
        "schema": SCHEMA,
        "verdict": report.verdict.code,
        "sentence": report.sentence,
        **_tally_json(report.tally),
        "complete": report.is_complete,
        "failure": report.failure,
        "faults": report.faults,
        "remarks": report.remarks,
        "more": sorted(kind.code for kind in report.more),
        "looked_at": [_progress_json(each) for each in report.progress],
        "findings": [_finding_json(each) for each in report.findings],
    }
    return printable_json(json.dumps(whole, ensure_ascii=False, indent=1))


# -- text ------------------------------------------------------------------------------


def _lines(report: Report) -> Iterator[str]:
    yield printable(report.sentence)
    yield ""
    faults_first = sorted(report.findings, key=lambda each: not each.kind.is_fault)
    for kind, findings in groupby(faults_first, attrgetter("kind")):
        yield f"{'fault' if kind.is_fault else 'remark'}: {kind.meaning} [{kind.code}]"
        for finding in findings:
            yield from _finding_lines(finding)
        if kind in report.more:
            yield _INDENT + "and more of these, which are not listed"
    if report.findings:
        yield ""
    yield "looked at:"
    yield from (_INDENT + _progress_line(each) for each in report.progress)
    if report.failure:
        yield f"not all was read: {printable(report.failure)}"
    yield _summary(report)


def _finding_lines(finding: Finding) -> Iterator[str]:
    line = " ".join(filter(None, (_count(finding), _record(finding), _where(finding))))
    line = ": ".join(filter(None, (line, printable(finding.detail))))
    line = "; ".join(filter(None, (line, printable(finding.done))))
    if line:
        yield _INDENT + line
    for file in finding.files:
        yield 2 * _INDENT + printable(file)
    if finding.files and finding.count > len(finding.files):
        yield f"{2 * _INDENT}and {finding.count - len(finding.files)} more"


def _count(finding: Finding) -> str:
    if finding.of:
        return f"{finding.count} of {finding.of}{_ARE.get(finding.kind, '')}"
    return str(finding.count) if finding.count > 1 else ""


def _record(finding: Finding) -> str:
    """Return which record it is about; of a folder its files are named instead."""
    if (finding.of and finding.where) or not (finding.record_type or finding.offset):
        return "of them" if finding.count > 1 and not finding.of else ""
    record = f"{printable(finding.record_type)} record".lstrip()
    is_one = finding.count == 1 and not finding.of
    if not is_one:
        record += "s"
    if not finding.offset:
        return record
    first = "" if is_one else ", the first"
    return f"{record}{first} at byte {finding.offset} of the DICOMDIR"


def _where(finding: Finding) -> str:
    where = "in " + "/".join(map(printable, finding.where)) if finding.where else ""
    source = f"on {printable(finding.source)}" if finding.source else ""
    return " ".join(filter(None, (where, source)))


def _progress_line(progress: Progress) -> str:
    if progress.is_complete:
        line = f"{progress.stage.meaning}: all {progress.count}"
    elif progress.count:
        line = f"{progress.stage.meaning}: {progress.count} so far, not all"
    else:
        line = f"{progress.stage.meaning}: not looked at"
    return f"{line} ({printable(progress.note)})" if progress.note else line


def _summary(report: Report) -> str:
    is_more = any(kind.is_fault for kind in report.more)
    told = _number(report.faults, "fault") + (" and more" if is_more else "")
    told += f", {_number(report.remarks, 'remark')}"
    so_far = " so far" if report.verdict is Verdict.UNFINISHED else ""
    return f"{told}{so_far}; {report.verdict.meaning}"


def _number(count: int, what: str) -> str:
    return counted(count, what) if count else f"no {what}s"


# -- JSON ------------------------------------------------------------------------------


def _tally_json(tally: Tally | None) -> Json:
    """Return what was counted, null where it was not."""
    is_read = tally is not None and tally.reads_files
    return {
        "listed": None if tally is None else tally.listed,
        "there": None if tally is None else tally.there,
        "whole": tally.whole if tally is not None and is_read else None,
        "unlisted": tally.unlisted if tally is not None and is_read else None,
    }


def _progress_json(progress: Progress) -> Json:
    return {
        "what": progress.stage.code,
        "meaning": progress.stage.meaning,
        "count": progress.count,
        "complete": progress.is_complete,
        "note": progress.note,
    }


def _finding_json(finding: Finding) -> Json:
    return {
        "code": finding.kind.code,
        "fault": finding.kind.is_fault,
        "meaning": finding.kind.meaning,
        "offset": finding.offset,
        "record_type": finding.record_type,
        "where": list(finding.where),
        "count": finding.count,
        "of": finding.of,
        "done": finding.done,
        "detail": finding.detail,
        "files": list(finding.files),
        "source": finding.source,
    }
