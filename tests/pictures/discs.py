"""Media whose images have pixels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.build.medium import Record, image, patient, series, study, write_medium
from tests.build.pixels import Pixels, corner, instance

NAME: Final = "Doe^Jane"
NUMBER: Final = "12345"


def pictured(uid: str, pixels: Pixels, number: int = 1, **more: Any) -> Record:
    """Return the record of an image with *pixels*; *more* are elements of its file."""
    said = {"PatientName": NAME, "PatientID": NUMBER, "InstanceNumber": number, **more}
    content = instance(pixels, SOPInstanceUID=uid, **said)
    return image(uid, number=number, content=content, size=None)


def write_disc(
    folder: Path,
    images: Mapping[int, Pixels] | None = None,
    *,
    name: str = NAME,
    number: str = NUMBER,
    date: str = "20230705",
) -> Path:
    """Write a medium with one series of *images* by their numbers; return its folder."""
    images = {1: corner()} if images is None else images
    slices = [
        pictured(f"1.2.3.{n}", pixels, n, PatientName=name, PatientID=number)
        for n, pixels in images.items()
    ]
    lungs = series("1.2.3", slices, description="Lung")
    one = study("1.2", [lungs], date=date)
    folder.mkdir(exist_ok=True)
    write_medium(folder, [patient(name, number, [one])])
    return folder
