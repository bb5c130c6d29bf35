"""The tree as text and as JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomfs.cli import outline
from tests.build.medium import image, patient, record, series, study, write_medium
from tests.support.trees import look, opened


def write_sample(root: Path) -> None:
    images = [image("1.1.1.1", number=1), image("1.1.1.2", number=2, path=None)]
    several = [
        series("1.1.1", images, description="Lung"),
        series("1.1.2", number=2, description="Bone"),
    ]
    write_medium(
        root,
        [
            patient("Yamada^Tarou", "6", [study("1.1", several, description="CT")]),
            patient("Zoe", "7"),
        ],
    )


def test_the_tree_is_drawn(tmp_path: Path) -> None:
    write_sample(tmp_path)

    with opened(tmp_path) as tree:
        drawn = list(outline.lines(tree.root))

    assert drawn == [
        "├── Yamada, Tarou (6)",
        "│   └── 2023-07-05 CT",
        "│       ├── 001 CT Lung",
        "│       │   ├── 0001.dcm",
        "│       │   └── 0002 (missing).dcm  [No such file or directory]",
        "│       └── 002 CT Bone",
        "└── Zoe (7)",
    ]


def test_an_empty_tree_has_no_lines(tmp_path: Path) -> None:
    write_medium(tmp_path, [])

    with opened(tmp_path) as tree:
        assert list(outline.lines(tree.root)) == []


def test_json_has_all_that_the_tree_has(tmp_path: Path) -> None:
    write_sample(tmp_path)
    expected = look(tmp_path)

    with opened(tmp_path) as tree:
        whole = json.loads(outline.as_json(tree.root))

    assert whole["schema"] == 1
    found = {}
    waiting = [("", entry) for entry in whole["entries"]]
    while waiting:
        above, entry = waiting.pop()
        path = f"{above}/{entry['name']}".lstrip("/")
        found[path] = entry
        waiting += [(path, below) for below in entry.get("entries", ())]
    assert found.keys() == expected.keys()
    for path, entry in found.items():
        seen = expected[path]
        assert (entry["inode"], entry["mtime_ns"]) == (seen.inode, seen.mtime_ns)
        assert entry["type"] == ("folder" if seen.is_folder else "file")
        assert entry.get("size", 0) == seen.size
        assert entry.get("error", "") == seen.reason


def test_json_is_the_same_each_time(tmp_path: Path) -> None:
    write_sample(tmp_path)

    with opened(tmp_path) as tree, opened(tmp_path) as again:
        assert outline.as_json(tree.root) == outline.as_json(again.root)


def test_drawing_keeps_no_listing_in_memory(tmp_path: Path) -> None:
    write_sample(tmp_path)

    with opened(tmp_path) as tree:
        list(outline.lines(tree.root))

        assert tree.root.children_cached() is None


@pytest.mark.slow
def test_a_tree_that_is_too_deep_is_drawn_in_pieces(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("too deep")
    deep = record("PRIVATE")
    for _ in range(1500):
        deep = record("PRIVATE", [deep])
    write_medium(tmp_path, [deep])

    with opened(tmp_path) as tree:
        tree.check_links()
        drawn = list(outline.lines(tree.root))

    # Each record once but those that begin a piece, which their entity stands for; and
    # the folders Other and Unlinked with their Private.
    assert len(drawn) > 1450
    assert max(line.index("─") for line in drawn) < 4 * 40
