"""Structured reports as pages: what they say, and what they cannot do."""

import html
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.documents.pages import read
from dicomfs.errors import DocumentError
from dicomfs.source.source import BytesSource
from tests.build.medium import code, instance_bytes
from tests.build.reports import EVERY_TYPE, Elements, item, report
from tests.support.mounting import need, run

SAMPLES: Final = Path(pydicom.__file__).parent / "data/test_files"
REPORTS: Final = ["test-SR.dcm", "reportsi.dcm", "reportsi_with_empty_number_tags.dcm"]
# All that a page is made of.
ELEMENTS: Final = frozenset(
    {
        *("html", "head", "meta", "title", "style", "body", "h1", "table", "tr"),
        *("th", "td", "ul", "li", "b", "span", "small", "p", "footer"),
    }
)
ATTRIBUTES: Final = frozenset(
    {"lang", "charset", "http-equiv", "content", "name", "dir", "class"}
)


def pages(elements: Elements) -> dict[str, str]:
    """Return the pages of a report with these elements."""
    return pages_of(instance_bytes(elements, size=None))


def pages_of(data: bytes) -> dict[str, str]:
    """Return the pages of the report in an instance."""
    return {
        extension: page.read_at(0, page.size).decode()
        for extension, page in read(BytesSource(data)).items()
    }


class Parsed(HTMLParser):
    """The elements and attributes of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: dict[str, set[str]] = {}
        self.policy = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element."""
        self.elements.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"] or ""


def words(page: str) -> set[str]:
    """Return the words that a page shows."""
    shown = re.sub(r"<(style|title)[\s>].*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    return set(re.findall(r"[\w.]*\w", html.unescape(shown)))


def test_both_pages_say_all_that_is_in_the_report() -> None:
    made = pages(report(*[one for one, _ in EVERY_TYPE.values()]))

    for _, said in EVERY_TYPE.values():
        assert words(said) <= words(made[".html"])
        for line in said.splitlines():
            assert line in made[".txt"]


def test_the_pages_say_whose_report_it_is_and_that_nobody_confirmed_it() -> None:
    made = pages(report(item("TEXT", "Finding", TextValue="x")))

    for page in made.values():
        assert "Doe, Jane" in page
        assert "NOT VERIFIED" in page


def test_text_is_indented_by_what_it_belongs_to() -> None:
    inner = item("TEXT", "Size", TextValue="small\r\nvery")
    outer = item("CONTAINER", "Lung", ContentSequence=[inner])

    assert "\nLung\n  Size: small\n    very\n" in pages(report(outer))[".txt"]


ATTACKS: Final = [
    "<script>alert(1)</script>",
    "</li></ul><img src=x onerror=alert(1)>",
    "\"><a href='javascript:alert(1)'>",
    "<!-- ",
    "&lt;script&gt;",
    "]]>",
    "</title><script>",
    "\u202egnp.exe",
    "\x1b[2J\x1b]0;pwned\x07",
]


def attacked(attack: str) -> dict[str, str]:
    text = item("TEXT", attack, TextValue=attack)
    return pages(
        report(
            {**text, "RelationshipType": attack[:16], "ContentSequence": [text]},
            SpecificCharacterSet="ISO_IR 192",
            PatientName=attack,
            PatientID=attack,
            CompletionFlag=attack[:16],
            CompletionFlagDescription=attack,
            StudyDescription=attack,
            ConceptNameCodeSequence=code("1", "99TEST", attack),
        )
    )


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_a_report_says_is_markup(attack: str) -> None:
    page = Parsed(attacked(attack)[".html"])

    assert page.elements <= ELEMENTS
    assert page.attributes.keys() <= ATTRIBUTES
    assert page.attributes["http-equiv"] == {"Content-Security-Policy"}


@pytest.mark.slow
@given(st.text(max_size=40))
def test_no_text_at_all_is_markup(text: str) -> None:
    made = attacked(text.replace("\\", "").replace("\0", ""))
    page = Parsed(made[".html"])

    assert page.elements <= ELEMENTS
    assert page.attributes.keys() <= ATTRIBUTES
    assert (
        made[".txt"]
        .replace("\n", "")
        .replace("\u200c", "")
        .replace("\u200d", "")
        .isprintable()
    )


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_is_an_order_to_a_terminal(attack: str) -> None:
    assert attacked(attack)[".txt"].replace("\n", "").isprintable()


def test_a_browser_may_load_and_run_nothing() -> None:
    page = Parsed(pages(report(item("TEXT", "n", TextValue="x")))[".html"])
    rules = dict(each.strip().split(" ", 1) for each in page.policy.split(";"))

    assert rules.pop("style-src").startswith("'sha256-")
    assert rules == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not page.attributes.keys() & {"href", "src", "style", "id"}


def test_the_same_report_gives_the_same_bytes() -> None:
    elements = report(*[one for one, _ in EVERY_TYPE.values()])

    assert pages(elements) == pages(elements)


@pytest.mark.slow
def test_a_page_without_end_is_not_made() -> None:
    text = item("TEXT", "n", TextValue=b"\n" * 1_000_000)
    with pytest.raises(DocumentError, match="longer"):
        pages(report(*([text] * 7)))


@pytest.mark.slow
def test_a_report_with_too_many_items_says_that_it_goes_on() -> None:
    made = pages(report(*([item("TEXT", "n", TextValue="x")] * 10_001)))

    for page in made.values():
        assert page.count("The report is longer than this page") == 2


def _samples() -> Iterator[bytes]:
    for name in REPORTS:
        yield (SAMPLES / name).read_bytes()
    for one, _ in EVERY_TYPE.values():
        yield instance_bytes(report(one), size=None)


def test_every_sample_has_its_pages() -> None:
    for sample in _samples():
        assert pages_of(sample).keys() == {".html", ".txt"}


# What dsr2html says by itself, in place of UIDs, and as details of codes.
DCMTKS: Final = """
    Annex 4 CT Circle Concept Context Acquisition Observation Properties Modifier Content
    Date Time Docs Flag Footnote HemodynamicWaveformStorage Item Multiple Points Point
    Polyline MR Observers Predecessor Segment Selected This document page was generated a
    from OFFIS DCMTK Structured Reporting COMPLETE VERIFIED UNVERIFIED Waveform
    BasicTextSRStorage ComprehensiveSRStorage EncapsulatedPDFStorage reference state with
    TwelveLeadECGWaveformStorage presentation 2222 99_OFFIS_DCMTK 9999 99TEST
"""


@pytest.mark.slow
def test_what_dsr2html_says_is_said(tmp_path: Path) -> None:
    need("dsr2html")
    version = re.search(r"dsr2html v(\S+)", run(["dsr2html", "--version"]).stdout)
    assert version is not None
    own = {*DCMTKS.split(), version[1]}
    rendered = 0
    for number, sample in enumerate(_samples()):
        file = tmp_path / f"{number}.dcm"
        file.write_bytes(sample)
        done = run(["dsr2html", "+U8", str(file)])
        rendered += not done.returncode
        theirs = set() if done.returncode else words(done.stdout)
        ours = words(pages_of(sample)[".html"])
        assert theirs - ours - own == set()
    # Later versions render some that lack what a table demands, too.
    assert rendered >= len(EVERY_TYPE)
