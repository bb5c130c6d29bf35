"""Rows as text, and who reads it."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.catalogue.text import Csv, JsonLines
from tests.support.mounting import need_packages, python

VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ROW = ["Doe^Jane", "=1+1", 'a, "b"', "first\nsecond", "山田", None, -3]
NAMES = ["name", "formula", "marks", "lines", "letters", "none", "number"]


def test_csv_has_a_head_and_a_line_for_each_row() -> None:
    form = Csv(["PatientID", "SeriesNumber"])

    text = form.head() + form.text([["007", 3], [None, None]])

    assert text == "PatientID,SeriesNumber\n007,3\n,\n"


@given(st.lists(VALUES, min_size=1, max_size=3))
def test_csv_says_exactly_what_the_values_are(row: list[str]) -> None:
    text = Csv([]).text([row])

    assert list(csv.reader(io.StringIO(text, newline=""))) == [row]


def test_json_lines_are_objects_with_numbers_and_nulls() -> None:
    form = JsonLines(NAMES)

    assert form.head() == ""
    assert json.loads(form.text([ROW])) == dict(zip(NAMES, ROW, strict=True))


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_is_given_no_formula(begin: str) -> None:
    form = Csv(["a", "b"], is_guarded=True)

    assert form.head() == "\ufeffa,b\n"
    [row] = csv.reader(io.StringIO(form.text([[f"{begin}1", -1]]), newline=""))
    assert row == [f"'{begin}1", "-1"]


READ_BY_PANDAS = """
import sys, json, pandas
table = pandas.read_csv(sys.argv[1], dtype=str, keep_default_na=False)
print(json.dumps(table.to_dict("records")))
"""
READ_BY_DUCKDB = """
import sys, json, duckdb
rows = duckdb.sql(f"select * from read_csv('{sys.argv[1]}', all_varchar=true)")
print(json.dumps([dict(zip(rows.columns, each)) for each in rows.fetchall()]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "code"),
    [("pandas", READ_BY_PANDAS), ("duckdb", READ_BY_DUCKDB)],
)
def test_others_read_what_is_written(package: str, code: str, tmp_path: Path) -> None:
    need_packages(package)
    form = Csv(NAMES)
    file = tmp_path / "catalogue.csv"
    file.write_bytes(os.fsencode(form.head() + form.text([ROW, ROW])))

    read = json.loads(python(code, file))

    expected = dict(zip(NAMES, [str(each or "") for each in ROW], strict=True))
    assert [{k: v or "" for k, v in row.items()} for row in read] == [expected] * 2
