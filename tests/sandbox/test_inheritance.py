"""What a process lets go of that it has of who started it."""

import os
import sys
from pathlib import Path

import pytest

from dicomfs.sandbox import inheritance
from tests.support.mounting import python, run

LISTED = """
import os, sys
from dicomfs.sandbox import inheritance
inheritance.keep_descriptors(map(int, sys.argv[1:]))
there = []
for each in range(64):
    try:
        os.fstat(each)
    except OSError:
        continue
    there.append(each)
print(there)
"""


@pytest.mark.parametrize(
    ("own", "left"),
    [
        ([], [0, 1, 2]),
        ([3], [0, 1, 2, 3]),
        ([9, 5, 6], [0, 1, 2, 5, 6, 9]),
    ],
)
def test_all_descriptors_are_closed_but_streams_and_its_own(
    own: list[int], left: list[int]
) -> None:
    code = "import os\nfor n in range(3, 12): os.dup2(0, n)\n" + LISTED

    assert python(code, *map(str, own)) == f"{left}\n"


HIDDEN = """
from pathlib import Path
from dicomfs.sandbox import inheritance
inheritance.hide_arguments("dicomfs tree")
print(Path("/proc/self/cmdline").read_bytes().rstrip(b"\\0").decode())
"""


def test_arguments_give_way_to_what_is_shown() -> None:
    assert python(HIDDEN, "Doe_Jane.zip") == "dicomfs tree\n"


def test_what_is_shown_takes_no_more_room_than_there_is() -> None:
    long = HIDDEN.replace("dicomfs tree", "x" * 5000)
    room = len(os.fsencode(sys.executable)) + len("-P -c ") + len(long)

    shown = run([sys.executable, "-P", "-c", long]).stdout.strip()

    assert set(shown) == {"x"}
    assert len(shown) <= room


@pytest.mark.parametrize("said", [b"1 (x) " + b"0 " * 50, None])
def test_where_nobody_says_where_they_lie_they_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes | None
) -> None:
    stat = tmp_path / "stat"
    if said is not None:
        stat.write_bytes(said)
    monkeypatch.setattr(inheritance, "Path", lambda _: stat)
    before = Path("/proc/self/cmdline").read_bytes()

    inheritance.hide_arguments("dicomfs tree")

    assert Path("/proc/self/cmdline").read_bytes() == before
