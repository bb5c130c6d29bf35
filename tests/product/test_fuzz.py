"""Broken media by the thousand: nothing raises, hangs, grows, vanishes, or is logged.

The inputs are made by ``mutations.py`` and tried by ``fuzz.py``, in processes of its
own; ``scripts/fuzz`` goes on for as long as wanted.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.dicom.element import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
    Syntax,
    elements,
    items,
    read_values,
)
from dicomfs.dicom.header import MAX_READ, read_header, read_meta
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.indexing import read_index
from dicomfs.dicomdir.models import Models
from dicomfs.errors import DicomfsError, DirectoryError, ElementError, NotDicomError
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window
from tests.build.medium import (
    PREFIX,
    Record,
    build_dicomdir,
    image,
    instance_bytes,
    patient,
    record,
    series,
    study,
    write_medium,
)
from tests.build.mutations import Medium, media, mutated
from tests.support import fuzz, mounting
from tests.support.amounts import examples, part_of, tries_all
from tests.support.mounting import Mount, Mounter, run
from tests.support.trees import CountingSource

# All of them take minutes, and each test may take one.
_COUNT: Final = fuzz.COUNT if tries_all() else part_of(fuzz.COUNT) // 2
_EACH: Final = min(_COUNT, 500)
# Measuring what is covered would double the time, and all of it is covered elsewhere.
_UNMEASURED: Final = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}


@pytest.mark.slow
@pytest.mark.counted
@pytest.mark.parametrize("first", range(0, _COUNT, _EACH))
def test_no_broken_dicomdir_breaks_a_promise(first: int) -> None:
    command = [sys.executable, "-P", "-m", "tests.support.fuzz", "--json"]
    numbers = [f"--first={first}", f"--count={_EACH}", f"--seed={fuzz.SEED}"]
    done = run([*command, *numbers], env=_UNMEASURED, seconds=2 * mounting.PATIENCE)

    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    repeat = f"to repeat it: scripts/fuzz --seed {fuzz.SEED} --only"
    assert [f"{what}; {repeat} {number}" for number, what in report["problems"]] == []
    assert report["inputs"] == _EACH
    assert report["slowest"] < fuzz.MAX_SECONDS
    assert report["memory"] < fuzz.MAX_MEMORY


# A record that swallows others took their link for its own; and how many records are looked
# at depended on which were read before.
@pytest.mark.parametrize("number", [6856, 8284])
def test_inputs_that_once_broke_a_promise_do_so_no_more(number: int) -> None:
    with fuzz.listening():
        fuzz.exercise(mutated(fuzz.SEED, number))


@pytest.mark.slow
def test_an_input_is_the_same_each_time() -> None:
    assert [mutated(7, number) for number in range(50)] == [
        mutated(7, number) for number in range(50)
    ]


@pytest.mark.slow
def test_nearly_all_inputs_are_broken() -> None:
    sound = {each.dicomdir for each in media()}
    made = [mutated(fuzz.SEED, number) for number in range(500)]

    assert sum(each.dicomdir in sound for each in made) < 50
    assert len({each.dicomdir for each in made}) > 400


@pytest.mark.slow
def test_a_sound_medium_breaks_no_promise() -> None:
    with fuzz.listening() as listener:  # pydicom has some without links, too
        for medium in media():
            fuzz.exercise(medium)

    assert listener.said == ""


# -- what chance does not find ---------------------------------------------------------


def _ladder() -> list[Record]:
    """Return records that lead to the same ones below, two by two: 2 to the power of 60."""
    pair: list[Record] = []
    for _ in range(60):
        first, second = record("PRIVATE"), record("PRIVATE")
        if pair:
            first.children, second.lower = pair, pair[0]
        pair = [first, second]
    return pair


def _shaft(depth: int) -> list[Record]:
    """Return patients, each of which leads down to the next one."""
    records = [patient("Doe", f"{number}") for number in range(depth)]
    for above, below in pairwise(records):
        above.next, above.lower = 0, below
    return records


def _slices(count: int) -> list[Record]:
    slices = [image(f"1.3.{n}", number=n, file="I") for n in range(count)]
    return [patient("Doe", "1", [study("1.2", [series("1.3", slices)])])]


def _behind(trailing: bytes) -> bytes:
    return build_dicomdir([patient("Doe", "1")], trailing=trailing)


_ITEM: Final = b"\xfe\xff\x00\xe0"
_LINK: Final = b"\x04\x00\x00\x14UL\x04\x00"
WORST: Final[dict[str, Callable[[], bytes]]] = {
    "all links lead to one": lambda: build_dicomdir(
        _slices(500), links=lambda _, following, lower: (following and 400, lower)
    ),
    "all lead to themselves": lambda: build_dicomdir(
        _slices(500), links=lambda _, following, lower: (following, following or lower)
    ),
    "no links": lambda: build_dicomdir(_slices(500), links=lambda *_: (0, 0)),
    "a ladder": lambda: build_dicomdir(_ladder()),
    "a shaft": lambda: build_dicomdir(_shaft(1000)),
    "empty items": lambda: _behind((_ITEM + bytes(4)) * 2000),
    "items without end": lambda: _behind((_ITEM + b"\xff" * 4) * 20_000),
    "records without end": lambda: _behind(
        (_ITEM + b"\xff" * 4 + _LINK + bytes(4)) * 2000
    ),
    "half records": lambda: _behind((_ITEM + b"\x08\0\0\0" + _LINK) * 2000),
    "a million zeros": lambda: _behind(bytes(1_000_000)),
    "tags of items": lambda: _behind(_ITEM * 100_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORST)
def test_the_worst_takes_no_longer_than_anything_else(name: str) -> None:
    medium = Medium(WORST[name](), {"I": instance_bytes()})

    with fuzz.listening():
        assert fuzz.problem_with(medium, is_thorough=False) == ""


# -- a fuzzer that finds nothing may be blind ------------------------------------------


def _report_on(monkeypatch: pytest.MonkeyPatch, fault: Exception | None) -> fuzz.Report:
    """Return what is reported where looking at an input does this."""

    def exercise(_: Medium, *, is_thorough: bool) -> None:
        del is_thorough
        while fault is None:
            pass
        raise fault

    monkeypatch.setattr(fuzz, "exercise", exercise)
    monkeypatch.setattr(fuzz, "MAX_SECONDS", 0.05)
    return fuzz.run_block(fuzz.SEED, [0])


def test_what_is_raised_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    report = _report_on(monkeypatch, KeyError("x"))

    [problem] = report.problems
    assert problem.number == 0
    assert "KeyError" in problem.what
    assert not report.is_good


def test_what_takes_too_long_is_stopped_and_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = _report_on(monkeypatch, None)

    [problem] = report.problems
    assert "it took longer" in problem.what


def test_a_name_in_a_log_is_reported() -> None:
    medium = media()[0]
    with fuzz.listening() as listener:
        fuzz.exercise(medium)
        assert listener.said == ""
        fuzz.log.info("read %s", "CANARY^JANE")

        assert listener.said


# -- any bytes at all ------------------------------------------------------------------

SYNTAXES: Final = pytest.mark.parametrize(
    "syntax", [EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE, IMPLICIT_BIG], ids=repr
)
# What elements, items and records are made of, right and wrong, in both byte orders.
_PIECES: Final = (
    *(
        b"\xfe\xff\x00\xe0",
        b"\xfe\xff\x0d\xe0",
        b"\xfe\xff\xdd\xe0",
        b"\xff\xff\xff\xff",
    ),
    *(
        b"\xff\xfe\xe0\x00",
        b"\xff\xfe\xe0\x0d",
        b"\xff\xfe\xe0\xdd",
        b"\0\0\0\0",
        b"\0\0",
    ),
    *(
        b"\x04\x00\x00\x14UL\x04\x00",
        b"\x04\x00\x20\x14UL\x04\x00",
        b"\x04\x00\x10\x14US",
    ),
    *(
        b"\x04\x00\x30\x14CS\x08\x00PATIENT ",
        b"\x04\x00\x30\x14CS\x06\x00IMAGE ",
        b"\x02\0",
    ),
    *(
        b"\x04\x00\x00\x15CS",
        b"\x04\x00\x20\x12SQ\0\0",
        b"\x40\x00\x43\xa0SQ\0\0",
        b"\x80\0",
    ),
    *(
        b"\x02\x00\x10\x00UI\x14\x00",
        b"1.2.840.10008.1.2.1.99",
        b"1.2.840.10008.1.2.1\0",
    ),
    *(
        b"\x10\x00\x10\x00PN",
        b"\x08\x00\x05\x00CS",
        b"SQ",
        b"UN",
        b"OB\0\0",
        b"zz",
        b"\x08",
    ),
    *(
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 70,
        b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff",
    ),
)
pieces: Final = st.lists(
    st.one_of(st.sampled_from(_PIECES), st.binary(max_size=8)), max_size=30
).map(b"".join)


@SYNTAXES
@examples(500)
@given(data=pieces)
def test_any_pieces_of_elements_are_read_or_refused(
    syntax: Syntax, data: bytes
) -> None:
    for read in (_elements, _values, _items):
        with suppress(ElementError):
            read(data, syntax)


def _elements(data: bytes, syntax: Syntax) -> None:
    found = list(elements(Window(BytesSource(data), 64), 0, len(data), syntax))
    starts = [each.start for each in found]
    assert starts == sorted(set(starts))


def _values(data: bytes, syntax: Syntax) -> None:
    wanted = {0x00041400: 4, 0x00041430: 16, 0x0040A043: 99, 0x00100010: 20}
    values: dict[int, bytes] = {}
    read_values(Window(BytesSource(data), 64), 0, len(data), syntax, wanted, values)
    assert all(len(value) <= wanted[tag] for tag, value in values.items())


def _items(data: bytes, syntax: Syntax) -> None:
    found = list(items(Window(BytesSource(data), 64), 0, len(data), syntax))
    assert all(start <= end <= len(data) for start, end in found)


@examples(2_000)
@given(
    head=st.sampled_from([b"", PREFIX, b"DICM", PREFIX + b"\x02\0\0\0UL\x04\0"]),
    data=pieces,
)
def test_any_pieces_behind_a_prefix_are_a_directory_or_refused(
    head: bytes, data: bytes
) -> None:
    data = head + data
    try:
        directory = Directory(BytesSource(data))
    except (DirectoryError, NotDicomError):
        return
    index = read_index(directory)

    offsets = list(index.offsets)
    assert offsets == sorted(set(offsets))
    for offset in offsets:
        assert directory.written(offset).offset == offset


@examples(2_000)
@given(head=st.sampled_from([b"", PREFIX]), data=pieces)
def test_any_pieces_of_a_header_are_read_or_refused_within_bounds(
    head: bytes, data: bytes
) -> None:
    source = CountingSource(head + data)
    with suppress(DicomfsError):
        read_header(source)

    assert source.bytes_read <= MAX_READ


@SYNTAXES
@examples(300)
@given(data=pieces, offset=st.integers(-1, 200))
def test_a_record_is_read_or_refused_wherever_one_is_sought(
    syntax: Syntax, data: bytes, offset: int
) -> None:
    window = Window(BytesSource(data), 64)
    models = Models(syntax, len(data))
    try:
        found = models.read(window, offset)
    except DirectoryError:
        return

    assert models.read(window, offset) == found
    assert found.offset == offset
    assert min(found.next, found.lower, found.mrdr) >= 0


@given(data=pieces)
def test_the_meta_information_ends_within_the_file(data: bytes) -> None:
    data = PREFIX + data
    try:
        meta = read_meta(Window(BytesSource(data), 64))
    except (NotDicomError, ElementError):
        return

    assert len(PREFIX) <= meta.start <= len(data)


# -- whole media, mounted --------------------------------------------------------------

_MOUNTS: Final = 6
_MEDIA: Final = 10
_MAX_LOOKS: Final = 2000


@pytest.mark.mount
@pytest.mark.parametrize("number", range(_MOUNTS))
def test_a_mount_of_rotten_media_is_walked_to_its_end(
    number: int, mount: Mounter, tmp_path: Path
) -> None:
    root = tmp_path / "media"
    sound = _write_sound(root / "SOUND")
    for place in range(_MEDIA):
        _write_rotten(root / f"ROTTEN{place}", number * _MEDIA + place)
    made = mount(root)
    read = _read_all(made)

    assert made.processes
    # One of several that is broken costs only itself.
    found = {data for path, data in read.items() if "Sound (sound)" in str(path)}
    assert found == sound
    assert list(made.place.iterdir())
    if ": WARNING: " in made.log:
        made.expect_log(": WARNING: ")


def _write_sound(root: Path) -> set[bytes]:
    """Write a medium that is in order, and return what its files hold."""
    slices = [image(f"1.99.{n}", number=n, file=f"IM/I{n}") for n in range(1, 5)]
    below = [study("1.9", [series("1.99", slices)])]
    written = write_medium(root, [patient("Sound", "sound", below)])
    return {path.read_bytes() for path in written.files.values()}


def _write_rotten(root: Path, number: int) -> None:
    """Write a medium with a broken DICOMDIR, some of whose other bytes are rotten too."""
    medium = mutated(fuzz.SEED + 1, number)
    random = Random(number)
    for name, data in {**medium.files, "DICOMDIR": medium.dicomdir}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rotten = bytearray(data)
        for _ in range(random.choice((0, len(data) // 1000))):
            rotten[random.randrange(len(rotten))] ^= 1 << random.randrange(8)
        path.write_bytes(rotten)


def _read_all(made: Mount) -> dict[Path, bytes]:
    """Read every file, as ``find`` and ``cat`` would, up to a great many."""
    found: dict[Path, bytes] = {}
    for path in islice(_below(made.place), _MAX_LOOKS):
        with suppress(OSError):
            found[path] = path.read_bytes()
    return found


def _below(root: Path) -> Iterator[Path]:
    waiting = [root]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if path.is_dir():
                waiting.append(path)
            else:
                yield path
