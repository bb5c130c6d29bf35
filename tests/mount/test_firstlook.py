"""A large index whose links are wrong, walked through as soon as it is mounted."""

from pathlib import Path

import pytest

from tests.build.medium import large_dicomdir
from tests.support.mounting import Mounter, run

pytestmark = [pytest.mark.mount, pytest.mark.slow]

# So many that the root is there before they were looked through.
_RECORDS = 25_000
_NEXT = b"\x04\x00\x00\x14UL\x04\x00"


def cut_behind(data: bytearray, kind: bytes, number: int) -> None:
    """Let the chain of records of a *kind* end behind the one of that *number*."""
    at = -1
    for _ in range(number):
        at = data.index(b"\x04\x00\x30\x14CS" + kind, at + 1)
    link = data.rindex(_NEXT, 0, at) + len(_NEXT)
    data[link : link + 4] = bytes(4)


def test_find_at_once_finds_all_of_a_large_index_and_the_same_later(
    tmp_path: Path, mount: Mounter
) -> None:
    root = tmp_path / "medium"
    images = large_dicomdir(
        root, records=_RECORDS, patients=5, images_per_series=50
    ).images
    data = bytearray((root / "DICOMDIR").read_bytes())
    assert len(data) > 4 * 1024 * 1024
    cut_behind(data, b"\x08\x00PATIENT ", 2)
    cut_behind(data, b"\x06\x00SERIES", 3)
    cut_behind(data, b"\x06\x00IMAGE ", 10)
    (root / "DICOMDIR").write_bytes(data)
    mounted = mount(root)
    mounted.expect_log("nothing links to a record")

    first, later = (run(["find", str(mounted.place), "-type", "f"]) for _ in range(2))

    assert (first.returncode, later.returncode) == (0, 0)
    assert len(first.stdout.splitlines()) == images
    assert sorted(first.stdout.splitlines()) == sorted(later.stdout.splitlines())
