"""The report: what it says of findings, to people and to programs, and how safely."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.findings import Finding, Findings, Kind
from dicomfs.tree import report
from dicomfs.tree.report import Progress, Stage
from dicomfs.tree.verdict import Verdict

SERIES = ("Doe, Jane (12345)", "2023-07-05 CT Thorax", "002 CT Lung")
ALL = [Progress(stage, 3, is_complete=True) for stage in Stage]


def made(*findings: Finding, progress: list[Progress] = ALL) -> report.Report:
    """Return the report on *findings*, without the log that warns of them."""
    collected = Findings()
    collected._log = lambda *_, **__: None  # type: ignore[method-assign]
    collected.extend(findings)
    return report.make(collected, progress)


def lines(*findings: Finding, progress: list[Progress] = ALL) -> list[str]:
    told = report.as_text(made(*findings, progress=progress)).splitlines()
    # First a sentence that says what it comes to.
    assert (bool(told[0]), told[1]) == (True, "")
    return told[2:]


def loaded(*findings: Finding, progress: list[Progress] = ALL) -> dict[str, Any]:
    whole = json.loads(report.as_json(made(*findings, progress=progress)))
    assert isinstance(whole, dict)
    return whole


# -- for people ------------------------------------------------------------------------


def test_missing_files_are_told_by_their_series() -> None:
    missing = Finding(
        Kind.MISSING_FILE, where=SERIES, count=12, of=240, files=("D/1", "D/2")
    )

    assert lines(missing)[:5] == [
        "fault: a file is missing [missing-file]",
        "  12 of 240 missing in Doe, Jane (12345)/2023-07-05 CT Thorax/002 CT Lung",
        "    D/1",
        "    D/2",
        "    and 10 more",
    ]


def test_a_fault_of_the_index_is_told_by_offset_and_record_type() -> None:
    link = Finding(Kind.BROKEN_LINK, 1234, "SERIES", done="the chain ends there")

    told = "  SERIES record at byte 1234 of the DICOMDIR; the chain ends there"
    assert told in lines(link)


def test_records_are_told_by_the_first_of_them() -> None:
    lacking = Finding(Kind.MISSING_KEY, 9, "IMAGE", (), 3, 4, detail="Instance Number")

    told = (
        "  3 of 4 IMAGE records, the first at byte 9 of the DICOMDIR: Instance Number"
    )
    assert told in lines(lacking)


def test_files_are_told_by_their_number() -> None:
    assert "  7 of them" in lines(Finding(Kind.UNLISTED_FILE, count=7))


def test_findings_of_a_kind_stand_together_and_faults_come_first() -> None:
    told = lines(
        Finding(Kind.MISSING_DESCRIPTION),
        Finding(Kind.BROKEN_LINK, 9),
        Finding(Kind.LOOP, 5),
        Finding(Kind.BROKEN_LINK, 8),
        Finding(Kind.SPLIT_STUDY),
    )

    assert told[:7] == [
        "fault: a link leads to no record [broken-link]",
        "  record at byte 8 of the DICOMDIR",
        "  record at byte 9 of the DICOMDIR",
        "fault: a link leads back to where it comes from [loop]",
        "  record at byte 5 of the DICOMDIR",
        "fault: one study is found under several patients [split-study]",
        "remark: a study or series has no description [missing-description]",
    ]


@pytest.mark.parametrize(
    ("findings", "summary"),
    [
        ([], "no faults, no remarks; the medium is sound"),
        ([Finding(Kind.LOOP)], "1 fault, no remarks; the medium has faults"),
        (
            [Finding(Kind.UNLISTED_FILE, count=7)],
            "no faults, 7 remarks; the medium is sound, with remarks",
        ),
        (
            [Finding(Kind.MISSING_FILE, count=12, of=13), Finding(Kind.LOOP)],
            "13 faults, no remarks; the medium has faults",
        ),
    ],
)
def test_the_last_line_sums_up(findings: list[Finding], summary: str) -> None:
    assert lines(*findings)[-1] == summary


def test_of_a_mount_it_says_that_not_all_was_looked_at() -> None:
    so_far = made(progress=[Progress(Stage.FOLDERS, 3)])

    assert so_far.sentence == (
        "so far 3 folders of this mount were looked into, and no file was checked "
        "(dicomfs check looks at everything)"
    )
    assert so_far.verdict is Verdict.UNFINISHED


def test_what_was_not_looked_at_is_said() -> None:
    told = lines(progress=[Progress(Stage.INDEX, 52, True), Progress(Stage.FOLDERS, 3)])

    assert [line.rpartition(": ")[2] for line in told[-5:-1]] == [
        "all 52",
        "3 so far, not all",
        "not looked at",
        "not looked at",
    ]
    assert told[-1] == "no faults, no remarks so far; not all was looked at"


def test_a_note_says_why_a_stage_is_not_complete() -> None:
    told = lines(progress=[Progress(Stage.INDEX, note="more than 200,000 records")])

    assert told[1].endswith(": not looked at (more than 200,000 records)")


def test_a_check_that_ended_early_says_why() -> None:
    text = report.as_text(report.make(Findings(), ALL, "No medium found"))

    assert "\nnot all was read: No medium found\n" in text


# -- for programs ----------------------------------------------------------------------


def test_json_has_every_key_always() -> None:
    whole = loaded(Finding(Kind.LOOP, 5, "IMAGE", done="cut"))

    assert sorted(whole) == [
        "complete",
        "failure",
        "faults",
        "findings",
        "listed",
        "looked_at",
        "more",
        "remarks",
        "schema",
        "sentence",
        "there",
        "unlisted",
        "verdict",
        "whole",
    ]
    assert (whole["schema"], whole["verdict"]) == (2, "faults")
    # It is not known of a mount.
    assert (whole["listed"], whole["whole"], whole["unlisted"]) == (None, None, None)
    assert (whole["complete"], whole["faults"], whole["remarks"]) == (True, 1, 0)
    assert whole["looked_at"][0] == {
        "what": "index",
        "meaning": Stage.INDEX.meaning,
        "count": 3,
        "complete": True,
        "note": "",
    }
    assert whole["findings"] == [
        {
            "code": "loop",
            "fault": True,
            "meaning": Kind.LOOP.meaning,
            "offset": 5,
            "record_type": "IMAGE",
            "where": [],
            "count": 1,
            "of": 0,
            "done": "cut",
            "detail": "",
            "files": [],
            "source": "",
        }
    ]


def test_json_says_what_is_not_complete() -> None:
    whole = loaded(progress=[Progress(Stage.INDEX, 52, True)])

    assert whole["complete"] is False
    assert [each["complete"] for each in whole["looked_at"]] == [True, *[False] * 3]


def test_codes_are_unique_and_for_programs() -> None:
    codes = [kind.code for kind in Kind]

    assert len(set(codes)) == len(codes)
    assert all(code.replace("-", "").isalpha() and code.islower() for code in codes)


# -- letters ---------------------------------------------------------------------------


TEXT = st.text(max_size=20) | st.binary(max_size=10).map(os.fsdecode)
FINDINGS = st.builds(
    Finding,
    st.sampled_from(Kind),
    st.integers(0, 2**32),
    TEXT,
    st.lists(TEXT, max_size=3).map(tuple),
    st.integers(1, 300),
    st.integers(0, 300),
    TEXT,
    TEXT,
    st.lists(TEXT, max_size=3).map(tuple),
)


def is_harmless(text: str) -> bool:
    return all(letter.isprintable() or letter in "\n\u200c\u200d" for letter in text)


@given(st.lists(FINDINGS, max_size=4))
def test_nothing_in_a_finding_gets_at_the_terminal(findings: list[Finding]) -> None:
    whole = made(*findings)
    text, data = report.as_text(whole), report.as_json(whole)

    assert is_harmless(text)
    assert is_harmless(data)
    # Both can be written to a file and shown in a mount.
    assert text.encode()
    assert data.encode()
    # No name makes a line of its own.
    assert len(text.splitlines()) == text.count("\n")


@given(st.lists(FINDINGS, max_size=4))
def test_json_gives_every_letter_back(findings: list[Finding]) -> None:
    told = [
        (each["code"], each["detail"], tuple(each["where"]), tuple(each["files"]))
        for each in loaded(*findings)["findings"]
    ]

    assert sorted(told) == sorted(
        (each.kind.code, each.detail, each.where, each.files) for each in set(findings)
    )


# -- collecting ------------------------------------------------------------------------


def test_what_is_met_twice_counts_once(expect_log: Callable[[str], None]) -> None:
    expect_log("leads back")
    findings = Findings()
    findings.add(Finding(Kind.LOOP, 5))
    findings.add(Finding(Kind.LOOP, 5))
    findings.add(Finding(Kind.LOOP, 6, count=2), key="the same")
    findings.add(Finding(Kind.LOOP, 6, count=3), key="the same")
    findings.add(Finding(Kind.UNLISTED_FILE), key="the same")

    assert [(each.offset, each.count) for each in findings.all()] == [
        (5, 1),
        (6, 3),
        (0, 1),
    ]


@pytest.mark.slow
def test_so_many_findings_that_they_would_fill_the_memory_are_not_kept(
    expect_log: Callable[[str], None],
) -> None:
    expect_log("leads back.*; further ones are in the report only$")
    expect_log("link leads")
    findings = Findings()
    for offset in range(10_001):
        findings.add(Finding(Kind.LOOP, offset))
    findings.add(Finding(Kind.BROKEN_LINK, 1))
    whole = report.make(findings, ALL)

    assert len(whole.findings) == 10_001
    assert whole.more == {Kind.LOOP}
    assert json.loads(report.as_json(whole))["more"] == ["loop"]
    told = report.as_text(whole).splitlines()
    assert "  and more of these, which are not listed" in told
    assert told[-1].startswith("10,001 faults and more, no remarks")


def test_the_log_has_the_first_findings_of_a_kind_only(
    caplog: pytest.LogCaptureFixture, expect_log: Callable[[str], None]
) -> None:
    expect_log("leads back")
    findings = Findings()
    for offset in range(100):
        findings.add(Finding(Kind.LOOP, offset))

    assert len(caplog.records) == 20


def test_the_log_has_neither_places_nor_files(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    secrets = Finding(
        Kind.MISSING_FILE,
        record_type="DOE^JANE",
        where=SERIES,
        detail="12345",
        files=("DOE/1",),
    )
    Findings().add(secrets)

    assert "a file is missing" in caplog.text
    assert "doe" not in caplog.text.lower()
    assert "12345" not in caplog.text


def test_with_names_the_log_has_places(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    Findings(log_names=True).add(Finding(Kind.MISSING_FILE, where=SERIES))

    assert "Doe, Jane (12345)/2023-07-05 CT Thorax/002 CT Lung" in caplog.text
