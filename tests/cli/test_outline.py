"""The tree as text and as JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from dicomfs.cli import outline
from tests.build.medium import image, leaf, patient, record, series, study, write_medium
from tests.support.mounting import ROOT, need_packages, python
from tests.support.trees import SAMPLES, look, opened


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
        whole = json.loads("".join(outline.as_json(tree.root)))

    assert whole["schema"] == 2
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
        assert entry["inode"] == str(seen.inode)
        assert entry["mtime_ns"] == seen.mtime_ns
        assert entry["type"] == ("folder" if seen.is_folder else "file")
        assert entry.get("size", 0) == seen.size
        assert (entry.get("error") or "") == seen.reason


def test_json_is_the_same_each_time(tmp_path: Path) -> None:
    write_sample(tmp_path)

    with opened(tmp_path) as tree, opened(tmp_path) as again:
        assert list(outline.as_json(tree.root)) == list(outline.as_json(again.root))


def test_json_has_what_the_records_say_on_each_level(tmp_path: Path) -> None:
    write_sample(tmp_path)

    with opened(tmp_path) as tree:
        whole = json.loads("".join(outline.as_json(tree.root)))

    doe = whole["entries"][0]
    study_ = doe["entries"][0]
    lung = study_["entries"][0]
    found, missing = lung["entries"]
    assert (doe["level"], doe["PatientID"], doe["PatientName"]) == (
        *("patient", "6", "Yamada^Tarou"),
    )
    assert (study_["StudyInstanceUID"], study_["StudyDate"]) == ("1.1", "20230705")
    assert (lung["Modality"], lung["SeriesNumber"]) == ("CT", 1)
    assert (found["SOPInstanceUID"], found["InstanceNumber"]) == ("1.1.1.1", 1)
    assert found["ReferencedFileID"].replace("\\", "/") == found["source_path"]
    assert (found["error"], missing["source_path"]) == (None, None)
    assert missing["error"] == "No such file or directory"


def test_the_depth_is_how_many_folders_are_looked_into(tmp_path: Path) -> None:
    write_sample(tmp_path)

    with opened(tmp_path) as tree:
        drawn = list(outline.lines(tree.root, 2))
        whole = json.loads("".join(outline.as_json(tree.root, 2)))
        looked_into = tree.listed

    assert drawn == ["├── Yamada, Tarou (6)", "│   └── 2023-07-05 CT", "└── Zoe (7)"]
    assert "entries" not in whole["entries"][0]["entries"][0]
    assert looked_into == 2 * 3


def test_each_study_is_a_line_of_json_and_what_is_in_none_has_its_own(
    tmp_path: Path,
) -> None:
    write_sample(tmp_path)
    medium = [
        patient("Doe", "1", [study("1.1", [series("1.1.1", [image("1.1.1.1")])])]),
        leaf("HANGING PROTOCOL", "1.9", HangingProtocolName="Chest"),
    ]
    write_medium(tmp_path / "other", medium)

    with opened(tmp_path / "other") as tree:
        made = [json.loads(line) for line in outline.studies_as_json(tree.root)]
    with opened(tmp_path) as tree:
        more = [json.loads(line) for line in outline.studies_as_json(tree.root)]

    assert [each["path"] for each in made] == [
        *("Doe (1)/2023-07-05 Study 1", "Other/Hanging protocol"),
    ]
    [lungs] = made[0]["entries"]
    assert [file["name"] for file in lungs["entries"]] == ["0001.dcm"]
    assert made[0]["PatientID"] == "1"
    assert [file["name"] for file in made[1]["entries"]] == ["Chest.dcm"]
    # A patient without a study is no study, and is not passed over either.
    assert [each["path"] for each in more] == [
        "Yamada, Tarou (6)/2023-07-05 CT",
        "Zoe (7)",
    ]


VALIDATE: Final = """
import json, sys
from jsonschema import Draft202012Validator
schema, *documents = [json.load(open(path)) for path in sys.argv[1:]]
Draft202012Validator.check_schema(schema)
for document in documents:
    Draft202012Validator(schema).validate(document)
"""


@pytest.mark.slow
def test_json_is_as_its_schema_has_it(tmp_path: Path) -> None:
    need_packages("jsonschema")
    write_sample(tmp_path)
    texts: list[str] = []
    for disc in (tmp_path, SAMPLES):
        with opened(disc) as tree:
            texts += ["".join(outline.as_json(tree.root, depth)) for depth in (2, 9)]
            texts += outline.studies_as_json(tree.root)
    made = [tmp_path / f"{number}.json" for number in range(len(texts))]
    for path, text in zip(made, texts, strict=True):
        path.write_text(text, encoding="utf-8")

    python(VALIDATE, ROOT / "docs/tree.schema.json", *made)


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
