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

SERIES = ("Doe, Jane (12345)", "2023-07-05 CT Thorax", "002 CT Lung")
ALL = [Progress(stage, 3, is_complete=True) for stage in Stage]


def made(*findings: Finding, progress: list[Progress] = ALL) -> report.Report:
    """Return the report on *findings*, without the log that warns of them."""
    collected = Findings()
    collected._log = lambda *_, **__: None  # type: ignore[method-assign]
    collected.extend(findings)
    return report.make(collected, progress)


def lines(*findings: Finding, progress: list[Progress] = ALL) -> list[str]:
    return report.as_text(made(*findings, progress=progress)).splitlines()


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

    assert "  SERIES at offset 1234; the chain ends there" in lines(link)


def test_findings_of_a_kind_stand_together_under_one_heading() -> None:
    told = lines(
        Finding(Kind.UNLISTED_FILE, count=7),
        Finding(Kind.BROKEN_LINK, 9),
        Finding(Kind.LOOP, 5),
        Finding(Kind.BROKEN_LINK, 8),
    )

    assert told[:6] == [
        "fault: a link leads to no record [broken-link]",
        "  at offset 8",
        "  at offset 9",
        "fault: a link leads back [loop]",
        "  at offset 5",
        "remark: no record lists a file [unlisted-file]",
    ]


@pytest.mark.parametrize(
    ("findings", "summary"),
    [
        ([], "no faults, no remarks; the medium is sound"),
        ([Finding(Kind.LOOP)], "1 fault, no remarks; all was looked at"),
        (
            [Finding(Kind.UNLISTED_FILE, count=7)],
            "no faults, 7 remarks; the medium is sound",
        ),
        (
            [Finding(Kind.MISSING_FILE, count=12, of=13), Finding(Kind.LOOP)],
            "13 faults, no remarks; all was looked at",
        ),
    ],
)
def test_the_last_line_sums_up(findings: list[Finding], summary: str) -> None:
    assert lines(*findings)[-1] == summary


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
        "looked_at",
        "more",
        "remarks",
        "schema",
    ]
    assert whole["schema"] == 1
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
            "meaning": "a link leads back",
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
    assert told[-1].startswith("10001 faults and more, no remarks")


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
