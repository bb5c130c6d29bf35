"""What guided fuzzing learned, read again: without Atheris, and all of it.

``scripts/fuzz --guided`` goes on from there.
"""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from dicomfs.dicom import element, header, text
from dicomfs.dicomdir.models import Models
from dicomfs.dicomdir.recovery.placing import Placing
from dicomfs.media.archive import Archive
from dicomfs.media.iso.image import Iso
from dicomfs.media.tar.archive import Tar
from dicomfs.media.udf.image import Udf
from dicomfs.media.zip.archive import Zip
from dicomfs.mount import control
from dicomfs.source.source import Extent, ExtentSource, View
from dicomfs.tree import naming
from tests.build.mutations import CANARY
from tests.guided import campaign, corpus
from tests.guided.harness import Harness, problem_with
from tests.guided.sparse import SparseSource, shortened
from tests.guided.table import HARNESSES
from tests.support import fuzz
from tests.support.trees import CountingSource

_MOST_KEPT: Final = 300_000


@pytest.mark.slow
@pytest.mark.parametrize("name", HARNESSES)
def test_what_was_learned_breaks_no_promise(name: str) -> None:
    inputs = corpus.kept(name)
    problems = {
        each: problem
        for each, data in inputs.items()
        if (problem := problem_with(HARNESSES[name], data))
    }

    assert problems == {}
    assert inputs


def test_what_is_kept_is_small() -> None:
    files = list(corpus.FOLDER.iterdir())

    assert {path.name for path in files} == {f"{name}.tar.xz" for name in HARNESSES}
    assert sum(path.stat().st_size for path in files) < _MOST_KEPT


# -- a fuzzer that finds nothing may be blind ------------------------------------------

Plant = Callable[[pytest.MonkeyPatch], None]


def _names_are_left_as_they_are(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(naming, "clean", lambda value: value)


def _text_goes_on_behind_its_end(patch: pytest.MonkeyPatch) -> None:
    read = text.read
    patch.setattr(
        text,
        "read",
        lambda value, *args, **more: text.Reading(
            read(value, *args, **more).text + "\0" * (b"\0" in value)
        ),
    )


def _nothing_is_shown_that_was_left_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Placing, "_place_unreached", lambda _: None)
    patch.setattr(Placing, "_show_rest", lambda _: None)


def _conflicts_are_left(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("dicomfs.dicomdir.recovery.placing.settle", lambda *_: True)
    patch.setattr(Placing, "_show_rest", lambda _: None)


def _a_model_fits_too_much(patch: pytest.MonkeyPatch) -> None:
    read = Models.read
    patch.setattr(
        Models,
        "read",
        lambda self, window, offset: read(self, window, offset)._replace(
            next=len(self)
        ),
    )


def _a_header_is_read_without_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(header, "Limited", lambda source, _: _Greedy(source))


class _Greedy(ExtentSource):
    def __init__(self, source: object) -> None:
        assert isinstance(source, CountingSource)
        super().__init__(source, [Extent(0, source.size)])
        source.bytes_read += header.MAX_READ


def _items_have_no_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(element, "min", lambda end, _: end, raising=False)


class _Twisted(View):
    """A source that gives other bytes."""

    def read_at(self, offset: int, size: int) -> bytes:
        return super().read_at(offset, size)[::-1]


def _twist(kind: type[Archive[Any]]) -> Plant:
    """Let the files of a kind of archive have other bytes."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        open_entry = kind.open_entry
        patch.setattr(
            kind, "open_entry", lambda self, entry: _Twisted(open_entry(self, entry))
        )

    return plant


def _a_name_is_a_path(patch: pytest.MonkeyPatch) -> None:
    entries = Archive.entries
    patch.setattr(
        Tar,
        "entries",
        lambda self, folder: {
            b"/" + name: what for name, what in entries(self, folder).items()
        },
    )


def _a_worker_is_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(control, "_decoded", lambda message: message.decode("ascii"))


PLANTED: Final[dict[str, tuple[str, Plant]]] = {
    "names are left as they are": ("text", _names_are_left_as_they_are),
    "text goes on behind its end": ("text", _text_goes_on_behind_its_end),
    "a record is nowhere": ("recovery", _nothing_is_shown_that_was_left_out),
    "a record is nowhere in a file": ("index", _nothing_is_shown_that_was_left_out),
    "a record has two parents": ("recovery", _conflicts_are_left),
    "a model fits too much": ("records", _a_model_fits_too_much),
    "a header is read without end": ("headers", _a_header_is_read_without_end),
    "items have no end": ("elements", _items_have_no_end),
    "an ISO image has bytes of nowhere": ("iso", _twist(Iso)),
    "a UDF image has bytes of nowhere": ("udf", _twist(Udf)),
    "a tar archive has bytes of nowhere": ("tar", _twist(Tar)),
    "a ZIP archive has bytes of nowhere": ("zip", _twist(Zip)),
    "a name is a path": ("tar", _a_name_is_a_path),
    "a worker is believed": ("wire", _a_worker_is_believed),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", PLANTED)
def test_what_was_learned_reveals_that(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, plant = PLANTED[what]

    plant(monkeypatch)

    inputs = corpus.kept(name).values()
    assert any(problem_with(HARNESSES[name], data) for data in inputs)


def _harness(run: Callable[[bytes], None]) -> Harness:
    return Harness(run, lambda: [b""])


def test_what_takes_too_long_is_stopped_and_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.guided.harness.MAX_SECONDS", 0.05)

    def hang(_: bytes) -> None:
        while True:
            pass

    assert "it took longer" in problem_with(_harness(hang), b"")


def test_a_name_in_a_log_is_reported() -> None:
    def tell(_: bytes) -> None:
        fuzz.log.info("read %s", CANARY)

    assert "a name was logged" in problem_with(_harness(tell), b"")


# -- the corpus ------------------------------------------------------------------------


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep corpora somewhere else."""
    monkeypatch.setattr(corpus, "FOLDER", tmp_path / "corpus")
    return tmp_path


def test_a_corpus_is_kept_as_it_is(apart: Path) -> None:
    del apart
    inputs = {b"", b"one", bytes(9000)}

    size = corpus.keep("tar", inputs)

    assert set(corpus.kept("tar").values()) == inputs
    assert size < 1000
    assert corpus.keep("tar", inputs) == size


def test_a_minimised_corpus_has_the_shortest_input_of_those_that_lead_nowhere_new() -> (
    None
):
    def run(data: bytes) -> None:
        text.decode(data, [b"ISO_IR 192"])
        if data == b"broken":
            raise OSError(errno.EIO, "broken")

    few = corpus.minimised(
        _harness(run), [b"two", b"one", b"\xc3\x84", b"broken", b"x"]
    )

    assert few == [b"x", b"\xc3\x84"]


def test_a_sparse_image_is_the_image() -> None:
    image = bytes(4096) + b"first" + bytes(2043) + b"second" + bytes(2042)
    source = SparseSource(shortened(image))

    assert source.read_at(0, source.size + 9) == image
    assert source.read_at(4098, 3) == b"rst"
    assert source.read_at(4090, 9) == bytes(6) + b"fir"
    assert source.read_at(6000, 200) == image[6000:6200]


# -- Atheris ---------------------------------------------------------------------------


@pytest.mark.late
def test_atheris_learns_with_every_harness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(
        "atheris", reason="Atheris is not installed: scripts/setup fuzz"
    )
    monkeypatch.setattr(campaign, "LEARNED", tmp_path)

    outcomes = [campaign.fuzz(name, 0.1) for name in HARNESSES]

    assert [each.findings for each in outcomes] == [[] for _ in HARNESSES]
    assert all(each.executions > 50 and each.learned for each in outcomes)
