"""``dicomfs catalogue``, from its arguments to what it prints."""

import csv
import io
import json
import os
import pty
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from dicomfs.catalogue.columns import LEVELS
from dicomfs.cli.codes import Exit
from dicomfs.dicom import tags
from tests.build.images import make_iso
from tests.build.medium import Value, image, leaf, patient, series, study, write_medium
from tests.support.mounting import (
    COMMAND,
    PATIENCE,
    ROOT,
    SAMPLES,
    Finished,
    dicomfs,
    environment,
    need_packages,
    new_mark,
    python,
)

pytestmark = pytest.mark.slow

TINY: Final = SAMPLES / "TINY_ALPHA"


def table(done: Finished) -> list[dict[str, str]]:
    """Return the rows of the CSV that a command printed."""
    return list(csv.DictReader(io.StringIO(done.stdout)))


def write_disc(root: Path, name: str, images: int = 3) -> Path:
    """Write a disc of one patient whose records say little."""
    listed = [
        image(f"1.{name}.1.{n}", number=n, header={"Rows": 16 * n})
        for n in range(images)
    ]
    lungs = series(f"1.{name}.1", listed, description="Lung")
    doe = patient("Doe", name, [study(f"1.{name}", [lungs])], PatientComments="Hello")
    doe.header[0x00100040] = "F"
    write_medium(root / name, [doe])
    return root / name


EVIL: Final = "Doe\x1b]0;x\x07\u202ezz"


def test_each_source_is_catalogued_by_itself_and_in_order(tmp_path: Path) -> None:
    discs = [write_disc(tmp_path, str(number)) for number in (3, 1, 2)]

    one = dicomfs("catalogue", *discs)
    two = dicomfs("catalogue", "--jobs", "2", *discs)

    assert (one.returncode, one.stderr) == (0, "")
    assert two.stdout == one.stdout
    assert [row["source"] for row in table(one)] == [str(disc) for disc in discs]
    assert [row["PatientID"] for row in table(one)] == ["3", "1", "2"]


def test_a_source_that_fails_is_named_and_costs_only_itself(tmp_path: Path) -> None:
    disc = write_disc(tmp_path, "1")
    (tmp_path / "empty").mkdir()

    done = dicomfs("catalogue", tmp_path / "empty", disc, tmp_path / "none")

    assert [row["PatientID"] for row in table(done)] == ["1"]
    assert done.returncode == 12
    first, second = (
        line for line in done.stderr.splitlines() if "to mend it" not in line
    )
    assert first.startswith(f"dicomfs: {tmp_path}/empty: there is no DICOMDIR")
    assert second == f"dicomfs: {tmp_path}/none: there is no {tmp_path}/none"


def test_where_nothing_can_be_read_nothing_is_printed(tmp_path: Path) -> None:
    done = dicomfs("catalogue", tmp_path)

    assert (done.returncode, done.stdout) == (12, "")
    assert "no DICOMDIR" in done.stderr


def test_a_medium_without_anything_has_a_head(tmp_path: Path) -> None:
    write_medium(tmp_path, [])

    done = dicomfs("catalogue", "--columns", "PatientID,path", tmp_path)

    assert (done.returncode, done.stdout) == (0, "PatientID,path\n")


def test_columns_of_every_keyword_come_from_records_and_headers(
    tmp_path: Path,
) -> None:
    disc = write_disc(tmp_path, "7")
    asked = ("--columns", "PatientID,PatientSex,PatientComments,Rows", disc)

    plain = dicomfs("catalogue", *asked)
    whole = dicomfs("catalogue", "--headers", *asked)
    each = dicomfs("catalogue", "--headers", "--level", "instance", *asked)

    assert [list(row.values()) for row in table(plain)] == [["7", "", "Hello", ""]]
    assert [row["PatientSex"] for row in table(whole)] == ["F"]
    assert table(whole)[0]["Rows"].split("\\")[-2:] == ["16", "32"]
    assert [row["Rows"] for row in table(each)][1:] == ["16", "32"]
    assert (whole.returncode, whole.stderr) == (0, "")


def test_headers_give_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    del tmp_path
    plain = dicomfs("catalogue", "--level", "instance", SAMPLES)
    headers = dicomfs("catalogue", "--level", "instance", "--headers", SAMPLES)

    assert headers.returncode == 0
    assert [row["path"] for row in table(headers)] == [
        row["path"] for row in table(plain)
    ]


def test_a_file_that_cannot_be_read_tells_nothing_and_is_a_row(tmp_path: Path) -> None:
    disc = write_disc(tmp_path, "7")
    [first, *_] = sorted((disc / "IMAGES").iterdir())
    first.write_bytes(b"")

    done = dicomfs(
        *(
            "catalogue",
            "--headers",
            "--level",
            "instance",
            "--columns",
            "Rows,path",
            disc,
        )
    )

    assert (done.returncode, len(table(done))) == (0, 3)
    assert [row["Rows"] for row in table(done)].count("") == 1


def test_json_lines_have_null_for_what_is_not_there(tmp_path: Path) -> None:
    disc = write_disc(tmp_path, "7")

    done = dicomfs("catalogue", "--jsonl", "--level", "study", disc)

    [row] = map(json.loads, done.stdout.splitlines())
    assert (row["PatientID"], row["PatientSex"], row["StudyDescription"]) == (
        *("7", None, None),
    )
    assert (row["NumberOfStudyRelatedInstances"], row["ModalitiesInStudy"]) == (3, "CT")


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """Return a medium whose patient's name is more than letters."""
    spoken = leaf("SR DOCUMENT", "1.1.1.1", number=1)
    what = study("1.1", [series("1.1.1", [spoken])])
    write_medium(
        tmp_path / "evil",
        [patient(EVIL, "1", [what], SpecificCharacterSet="ISO_IR 192")],
    )
    return tmp_path / "evil"


def test_what_a_terminal_would_obey_does_not_reach_it(evil: Path) -> None:
    terminal, ours = pty.openpty()
    try:
        done = subprocess.run(
            [*COMMAND, "catalogue", "--columns", "PatientName", evil],
            stdout=ours,
            env=environment(new_mark()),
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(ours)
    shown = os.read(terminal, 1000)
    os.close(terminal)

    assert done.returncode == 0
    assert shown == b"PatientName\r\nDoe\\x1b]0;x\\x07\\u202ezz\r\n"


def test_in_a_file_csv_has_it_all_and_json_means_it_all(evil: Path) -> None:
    asked = ("--columns", "PatientName", evil)

    csv = dicomfs("catalogue", *asked)
    lines = dicomfs("catalogue", "--jsonl", *asked)

    assert csv.stdout == f"PatientName\n{EVIL}\n"
    assert json.loads(lines.stdout) == {"PatientName": EVIL}
    assert lines.stdout.isascii()


def test_for_excel_no_text_is_a_formula(tmp_path: Path) -> None:
    spoken = leaf("SR DOCUMENT", "1.1.1.1", number=1)
    what = study("1.1", [series("1.1.1", [spoken])], description="=HYPERLINK(1)")
    write_medium(tmp_path, [patient("Doe", "1", [what])])
    asked = ("--columns", "StudyDescription", tmp_path)

    plain = dicomfs("catalogue", *asked)
    excel = dicomfs("catalogue", "--excel", *asked)

    assert plain.stdout == "StudyDescription\n=HYPERLINK(1)\n"
    assert excel.stdout == "\ufeffStudyDescription\n'=HYPERLINK(1)\n"


VALIDATE: Final = """
import json, sys
from jsonschema import Draft202012Validator
schema, *rows = [json.loads(line) for line in sys.stdin]
Draft202012Validator.check_schema(schema)
for row in rows:
    Draft202012Validator(schema).validate(row)
"""


@pytest.mark.parametrize("level", LEVELS)
def test_rows_are_as_their_schema_has_them(level: str, tmp_path: Path) -> None:
    need_packages("jsonschema")
    columns = ["--columns", "InstanceNumber,Rows,PatientSex,bytes,source,path"]
    discs = [write_disc(tmp_path, "1"), SAMPLES]
    asked = [[], ["--headers"], ["--headers", *columns]]

    rows = "".join(
        dicomfs("catalogue", "--jsonl", "--level", level, *each, *discs).stdout
        for each in asked
    )
    assert rows.count("\n") > 2 * len(asked)
    schema = json.dumps(json.loads((ROOT / "docs/catalogue.schema.json").read_text()))
    done = subprocess.run(
        [sys.executable, "-P", "-c", VALIDATE],
        input=f"{schema}\n{rows}",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--columns", "PatientNmae"], "the nearest one is PatientName"),
        (["--columns", "Rowz"], "the nearest one is Rows"),
        (["--columns", "PixelData"], "neither text nor a number"),
        (["--columns", "missing", "--level", "instance"], "give --level patient"),
        (["--excel", "--jsonl"], "--excel is for CSV"),
        (["--jobs", "0"], "not a number of jobs"),
        (["--level", "image"], "invalid choice"),
    ],
)
def test_mistakes_are_said_before_anything_is_read(
    arguments: list[str], said: str
) -> None:
    done = dicomfs("catalogue", *arguments, "/none")

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


LOADED: Final = """
import sys
sys.argv[0] = "dicomfs"
from dicomfs.cli.main import main
main(["catalogue", "--columns", sys.argv[2], sys.argv[1]])
print("pydicom" in sys.modules)
"""


@pytest.mark.parametrize(
    ("columns", "is_loaded"), [("PatientID,SeriesNumber", "False"), ("Rows", "True")]
)
def test_the_dictionary_is_loaded_only_for_what_it_alone_knows(
    columns: str, is_loaded: str
) -> None:
    assert python(LOADED, TINY, columns).splitlines()[-1] == is_loaded


NEW: Final = """
import sys
from dicomfs.cli import main, rows
read = rows._print

def read_and_tell(given, child):
    before = {*sys.modules}
    code = read(given, child)
    print(sorted({*sys.modules} - before), file=sys.stderr)
    return code

rows._print = read_and_tell
sys.stderr = sys.stdout
sys.exit(main.main(["catalogue", *sys.argv[1:]]))
"""


def test_of_many_sources_each_loads_nothing_anew(tmp_path: Path) -> None:
    discs = [
        make_iso(write_disc(tmp_path, name), tmp_path / f"{name}.iso") for name in "12"
    ]

    said = python(NEW, *discs).splitlines()

    told = [line.rpartition(": ")[2] for line in said if line.endswith("]")]
    assert [each.strip() for each in told] == ["[]", "[]"]


COUNT: Final = """
import sys, duckdb, pandas
[(by_duckdb,)] = duckdb.sql(
    f"select sum(NumberOfSeriesRelatedInstances) from '{sys.argv[1]}'"
).fetchall()
table = pandas.read_csv(sys.argv[1], dtype={"PatientID": str})
print(by_duckdb, table.NumberOfSeriesRelatedInstances.sum(), *table.PatientID.unique())
"""


def test_duckdb_and_pandas_read_a_catalogue(tmp_path: Path) -> None:
    need_packages("duckdb", "pandas")
    file = tmp_path / "catalogue.csv"
    file.write_text(dicomfs("catalogue", SAMPLES).stdout, encoding="utf-8")

    assert python(COUNT, file).split() == ["31", "31", "77654033", "98890234"]


def lines(done: Finished) -> list[dict[str, Any]]:
    """Return the rows of the JSON that a command printed."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_column_of_json_has_one_type_whether_records_or_headers_tell_it(
    tmp_path: Path,
) -> None:
    images = [image(f"1.1.1.{n}", number=n, header={"Rows": 16}) for n in (1, 2)]
    # Of the first the record knows the number, and of the second only its header.
    del images[1].attributes[tags.INSTANCE_NUMBER]
    images[1].header[tags.INSTANCE_NUMBER] = "2"
    single = series("1.1.2", [image("1.1.2.1", number=3, header={"Rows": 16})])
    jane = patient("Doe", "7", [study("1.1", [series("1.1.1", images), single])])
    write_medium(tmp_path / "disc", [jane])
    asked = ("--headers", "--jsonl", "--columns", "InstanceNumber,Rows,SliceThickness")

    each = lines(dicomfs("catalogue", "--level", "instance", *asked, tmp_path / "disc"))
    groups = lines(dicomfs("catalogue", "--level", "series", *asked, tmp_path / "disc"))

    assert {type(row["Rows"]) for row in each} == {int}
    assert [row["InstanceNumber"] for row in each] == [3, 1, 2]
    assert {type(row["Rows"]) for row in groups} == {str}
    assert [row["InstanceNumber"] for row in groups] == ["3", "1\\2"]


def test_columns_may_be_tags_and_are_called_by_their_keywords(tmp_path: Path) -> None:
    disc = write_disc(tmp_path, "7")
    asked = "(0008,0060),00100020, (0028,0010),0020000d,bytes"

    done = dicomfs("catalogue", "--columns", asked, disc)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == (
        "Modality,PatientID,Rows,StudyInstanceUID,bytes"
    )
    unknown = dicomfs("catalogue", "--columns", "(0009,1010)", disc)
    assert unknown.returncode == Exit.USAGE
    assert "there is no column (0009,1010)" in unknown.stderr


@pytest.mark.parametrize(("representation", "told"), [(0, 65534), (1, -2)])
def test_whether_a_number_has_a_sign_is_what_the_header_says(
    tmp_path: Path, representation: int, told: int
) -> None:
    header: dict[str | int, Value] = {
        "PixelRepresentation": representation,
        "SmallestImagePixelValue": struct.pack("<H", told & 0xFFFF),
    }
    one = series("1.1.1", [image("1.1.1.1", header=header)])
    write_medium(tmp_path / "disc", [patient("Doe", "7", [study("1.1", [one])])])
    asked = ("--level", "instance", "--columns", "SmallestImagePixelValue")

    done = dicomfs("catalogue", "--headers", "--jsonl", *asked, tmp_path / "disc")

    assert lines(done) == [{"SmallestImagePixelValue": told}]
