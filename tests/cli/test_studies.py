"""A line for each study."""

from pathlib import Path

from dicomfs.cli import studies
from tests.build.medium import image, patient, series, study, write_medium
from tests.support.trees import opened, tree_of


def write_discs(folder: Path) -> tuple[Path, Path]:
    """Write two discs with the same study, of which each has another series."""
    for name, uid, modality in (("one", "1.1.1", "CT"), ("two", "1.1.2", "SR")):
        images = [image(f"{uid}.1"), image(f"{uid}.2", number=2)]
        lungs = series(uid, images, modality=modality)
        what = study("1.1", [lungs], description="Thorax", AccessionNumber="A-7")
        write_medium(folder / name, [patient("Doe^Jane", "12", [what])])
    return folder / "one", folder / "two"


def test_a_study_is_a_line_that_says_who_what_when_and_where(tmp_path: Path) -> None:
    one, two = write_discs(tmp_path)

    with tree_of(one, two) as tree:
        head, line = studies.lines(tree.root)

    total = sum(
        path.stat().st_size for path in tmp_path.rglob("IMAGES/*") if path.is_file()
    )
    assert head.split() == [
        *("PATIENT", "ID", "DATE", "MODALITIES", "DESCRIPTION", "ACCESSION"),
        *("SERIES", "IMAGES", "BYTES", "DISC"),
    ]
    assert line.split("  ")[0] == "Doe, Jane"
    assert line.split()[2:] == [
        *("12", "2023-07-05", "CT\\SR", "Thorax", "A-7", "2", "4", str(total)),
        *(f"{one};", str(two)),
    ]
    assert line.index("2023") == head.index("DATE")


def test_missing_images_are_said_and_wide_letters_take_two_places(
    tmp_path: Path,
) -> None:
    images = [image("1.1.1.1"), image("1.1.1.2", number=2, path=None)]
    utf = {"SpecificCharacterSet": "ISO_IR 192"}
    what = study("1.1", [series("1.1.1", images)], description="胸", **utf)
    write_medium(tmp_path, [patient("Doe", "1", [what])])

    with opened(tmp_path) as tree:
        head, line = studies.lines(tree.root)

    assert "2 (1 missing)" in line
    assert line.index("胸") == head.index("DESCRIPTION")
    assert line.index("2 (1") == head.index("IMAGES") - len("2 (1 missing)") + 5
