"""The recipes that are run: what they need, and what has to come of them."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from scripts.cooking.kitchen import Kitchen, nobody, orthanc, samba, share

# The sample medium: its patients with the number of their images.
_PATIENTS: Final = {"77654033": 7, "98890234": 24}


class Row(NamedTuple):
    """A recipe: the programs that it needs, what it comes to, and who serves it.

    *result* gets what the commands have printed, and fails if that is not as it should be.
    With *first* the server is there before the commands, else after them.
    """

    programs: tuple[str, ...]
    result: Callable[[Kitchen, str], None]
    server: Callable[[Kitchen], AbstractContextManager[None]] = nobody
    first: bool = True


def _orthanc(kitchen: Kitchen, said: str) -> None:
    assert json.loads(said)["CountInstances"] == kitchen.files
    sent = json.loads(said)["CountPatients"]
    assert sent == len(_PATIENTS)


def _dcm2niix(kitchen: Kitchen, _: str) -> None:
    assert kitchen.found("nifti", "*.nii.gz") > len(_PATIENTS)
    assert kitchen.found("nifti", "*Doe*") == 0


def _dcm2bids(kitchen: Kitchen, _: str) -> None:
    assert kitchen.found("bids/sub-01/anat", "*_T2w.nii.gz") > 0
    assert kitchen.found("bids", "*Doe*") == 0


def _deid(kitchen: Kitchen, _: str) -> None:
    assert kitchen.found("deid", "*.dcm") == kitchen.files


def _restic(kitchen: Kitchen, said: str) -> None:
    assert f"Files:          {kitchen.files} new" in said
    _mount_anew(kitchen)
    again = kitchen.use(
        *("restic", "--password-file", kitchen.home / "restic.password"),
        *("backup", "--repo", kitchen.home / "restic", kitchen.home / "patients"),
    )
    assert f"{kitchen.files} unmodified" in again


def _borg(kitchen: Kitchen, _: str) -> None:
    listed = kitchen.cook(
        'export BORG_PASSCOMMAND="cat $HOME/restic.password"; '
        "borg list --format '{type}{NL}' ~/borg::disc1"
    )
    assert listed.stdout.count("-") == kitchen.files


def _samba(kitchen: Kitchen, _: str) -> None:
    (kitchen.home / "fetched").mkdir()
    done = share(kitchen, "lcd fetched; prompt off; recurse on; mget *")
    assert done.returncode == 0, done.stdout
    assert kitchen.use("diff", "--recursive", "patients", "fetched") == ""
    assert "NT_STATUS_" in share(kitchen, "mkdir new").stdout


def _tar(kitchen: Kitchen, said: str) -> None:
    assert said == ""
    listed = kitchen.use("tar", "--list", "--file", kitchen.home / "patients.tar")
    assert listed.count(".dcm\n") == kitchen.files


def _rsync(kitchen: Kitchen, said: str) -> None:
    assert said == ""
    assert kitchen.found("copy", "*.dcm") == kitchen.files


def _duckdb(_: Kitchen, said: str) -> None:
    for patient, images in _PATIENTS.items():
        assert any(
            patient in line and f" {images} " in line for line in said.splitlines()
        )


def _mount_anew(kitchen: Kitchen) -> None:
    place = kitchen.home / "patients"
    kitchen.use("dicomfs", "umount", place)
    kitchen.use("dicomfs", "mount", kitchen.medium, place)


ROWS: Final[Mapping[str, Row]] = {
    "Orthanc": Row(("Orthanc", "dcmsend", "curl"), _orthanc, orthanc),
    "dcm2niix": Row(("dcm2niix",), _dcm2niix),
    "dcm2bids": Row(("dcm2bids", "dcm2niix"), _dcm2bids),
    "deid": Row(("deid",), _deid),
    "restic": Row(("restic",), _restic),
    "Borg": Row(("borg",), _borg),
    "Samba": Row(("smbd", "smbclient", "smbpasswd"), _samba, samba, first=False),
    "tar": Row(("tar",), _tar),
    "rsync": Row(("rsync",), _rsync),
    "DuckDB": Row(("duckdb",), _duckdb),
}
