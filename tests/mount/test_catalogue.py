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


def test_a_uid_leads_to_its_place(sample_mount: Mount) -> None:
    by_uid = sample_mount.place / ".dicomfs/by-uid"
    for file in sample_mount.files():
        uid = os.getxattr(file, "user.dicomfs.uid").decode()
        link = by_uid / uid

        assert link.samefile(file)
        assert link.read_bytes() == file.read_bytes()
        assert not link.readlink().is_absolute()
        of_study = by_uid / os.getxattr(file.parents[1], "user.dicomfs.uid").decode()
        assert of_study.resolve() == file.parents[1].resolve()
        assert of_study.is_symlink()


def test_uids_are_not_listed_and_what_is_none_is_not_there(
    sample_mount: Mount,
) -> None:
    by_uid = sample_mount.place / ".dicomfs/by-uid"

    assert list(by_uid.iterdir()) == []
    assert by_uid not in by_uid.parent.iterdir()
    assert not (by_uid / "1.2.3").exists()
    with pytest.raises(OSError, match="Invalid argument"):
        by_uid.readlink()
