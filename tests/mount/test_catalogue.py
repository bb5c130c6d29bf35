"""The catalogue in a mount."""

import os
from pathlib import Path

import pytest

from tests.support.mounting import Mount, dicomfs, need_packages, python

pytestmark = pytest.mark.mount


def test_a_mount_has_the_catalogue_of_its_medium(
    sample_mount: Mount, samples: Path
) -> None:
    file = sample_mount.place / ".dicomfs/catalogue.csv"

    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        data = opened.read()

    assert len(data) == size == file.stat().st_size
    assert data.decode() == dicomfs("catalogue", samples).stdout


READ = """
import sys, duckdb, pandas
[(by_duckdb,)] = duckdb.sql(f"select count(*) from '{sys.argv[1]}'").fetchall()
print(by_duckdb, len(pandas.read_csv(sys.argv[1])))
"""


def test_duckdb_and_pandas_read_it_where_it_lies(sample_mount: Mount) -> None:
    need_packages("duckdb", "pandas")

    told = python(READ, sample_mount.place / ".dicomfs/catalogue.csv")

    assert told.split() == ["13", "13"]
