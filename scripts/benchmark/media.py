"""Media for the comparisons, made when they are first wanted."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scripts.benchmark.processes import BenchError, run, time_of
from scripts.benchmark.sizes import MIB, Study
from tests.build import medium as build

PATIENTS: Final = 10
_IMAGES_PER_SERIES: Final = 500
_UIDS: Final = "2.25.9"


def _records(count: int) -> list[build.Record]:
    series = [
        build.series(
            f"{_UIDS}.{number}",
            [
                build.image(
                    f"{_UIDS}.{number}.{image}",
                    number=image,
                    file=f"S{number}/I{image}",
                )
                for image in range(_IMAGES_PER_SERIES)
            ],
        )
        for number in range(count // _IMAGES_PER_SERIES)
    ]
    return [build.patient("Doe^Jane", "1", [build.study(_UIDS, series)])]


@dataclass(slots=True)
class Media:
    """Media in folders below *folder*."""

    folder: Path
    _indexes: dict[Path, build.Counts] = field(default_factory=dict)
    _studies: dict[Study, Path] = field(default_factory=dict)

    def index(
        self,
        records: int,
        *,
        files: bool = False,
        patients: int = PATIENTS,
        images_per_series: int = _IMAGES_PER_SERIES,
    ) -> Path:
        """Return a medium with so many records; its files, if any, are all alike."""
        kind = "-files" if files else ""
        place = self.folder / f"index-{records}-{patients}-{images_per_series}{kind}"
        if place not in self._indexes:
            self._indexes[place] = build.large_dicomdir(
                place,
                records=records,
                patients=patients,
                images_per_series=images_per_series,
                files=files,
            )
        return place

    def encoded(self, records: int, how: str, options: build.Options) -> Path:
        """Return about so many records that are encoded in another way than most are."""
        place = self.folder / f"index-{records}-{how}"
        if not place.exists():
            place.mkdir(parents=True)
            data = build.build_dicomdir(_records(records), **options)
            (place / "DICOMDIR").write_bytes(data)
        return place

    def images(self, index: Path) -> int:
        """Return how many images an *index* has."""
        return self._indexes[index].images

    def study(self, study: Study) -> Path:
        """Return a medium with one such study; every file is its own."""
        if study not in self._studies:
            place = self.folder / f"study-{len(self._studies)}"
            self._studies[study] = _make_study(place, study)
        return self._studies[study]

    def instance(self, size: int, folder: Path) -> Path:
        """Make a medium with one instance of *size* bytes in *folder*; return it."""
        root = folder / "one-instance"
        image = build.image(f"{_UIDS}.1", file="DICOM/I0000001")
        medium = [_patient("One", [build.series(f"{_UIDS}.2", [image])])]
        written = build.write_medium(root, medium)
        with written.files[image].open("ab") as out:
            block = os.urandom(MIB)
            while (missing := size - out.tell()) > 0:
                out.write(block[:missing])
        return root

    def described(self, series: int, images: int, *, in_records: bool) -> Path:
        """Return a small medium whose series have their descriptions, or not."""
        root = self.folder / f"described-{in_records}"
        told = "Thorax" if in_records else build.OMIT
        medium = [
            _patient(
                "Told",
                [
                    build.series(
                        f"{_UIDS}.3.{number}",
                        [_image(number, image) for image in range(1, images + 1)],
                        number=number,
                        description=told,
                        header_description="Thorax",
                    )
                    for number in range(1, series + 1)
                ],
            )
        ]
        if not root.exists():
            build.write_medium(root, medium)
        return root

    def iso(self, medium: Path) -> Path:
        """Return an ISO image of *medium*."""
        place = medium.with_suffix(".iso")
        if not place.exists():
            run(["xorriso", "-as", "mkisofs", "-quiet", "-o", place, medium])
        return place

    def discs(self, count: int, shared: str, having: int) -> list[Path]:
        """Return ISO images, each of a patient's disc; so many *having* one's, *shared*."""
        places = []
        for number in range(count):
            root = self.folder / f"disc-{number}"
            name = shared if number < having else f"Bench^{number}"
            study = build.study(
                f"{_UIDS}.6.{number}",
                [build.series(f"{_UIDS}.7.{number}", [_image(number, 1)])],
            )
            if not root.exists():
                build.write_medium(root, [build.patient(name, name, [study])])
            places.append(root)
        # Each takes a process of its own.
        with ThreadPoolExecutor(os.cpu_count()) as workers:
            return list(workers.map(self.iso, places))


def _patient(name: str, series: list[build.Record]) -> build.Record:
    study = build.study(f"{_UIDS}.4", series, description="Study")
    return build.patient(f"Bench^{name}", f"B-{name}", [study])


def _image(series: int, number: int) -> build.Record:
    return build.image(
        f"{_UIDS}.5.{series}.{number}",
        number=number,
        file=f"DICOM/S{series:07d}/I{number:07d}",
    )


def _make_study(place: Path, study: Study) -> Path:
    """Make a study of which every file is the instance that its record lists.

    Of others dicomfs reads the whole header, and says what is wrong with them.
    """
    series = [
        build.series(
            f"{_UIDS}.8.{number}",
            [
                build.image(
                    f"{_UIDS}.8.{number}.{image}",
                    number=image,
                    file=f"DICOM/S{number:07d}/I{image:07d}",
                    size=study.size,
                )
                for image in range(1, min(_IMAGES_PER_SERIES, study.images - first) + 1)
            ],
            number=number,
        )
        for number, first in enumerate(
            range(0, study.images, _IMAGES_PER_SERIES), start=1
        )
    ]
    build.write_medium(place, [_patient("Study", series)])
    return place


def cool(folder: Path) -> None:
    """Have the kernel keep nothing of the files in *folder*, but what it knows of them."""
    for path in folder.rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)  # what is not written yet would stay
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)


def warm(folder: Path) -> None:
    """Have the kernel keep all files in *folder*, as far as there is room."""
    time_of(["find", folder, "-type", "f", "-exec", "cat", "{}", "+"])


def need_room(folder: Path, size: int) -> None:
    """Raise BenchError if there is no room for *size* bytes below *folder*."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise BenchError(
            f"{folder} has {free / MIB:.0f} MiB free, {size / MIB:.0f} are needed"
        )


def memory_folder(size: int) -> Path | None:
    """Return a folder of a tmpfs with room for *size* bytes twice, if there is one.

    Twice, because a tmpfs may be larger than the memory that is free.
    """
    available = _available_memory()
    for folder in (Path("/dev/shm"), Path(f"/run/user/{os.getuid()}")):
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            continue
        if min(shutil.disk_usage(folder).free, available) > 2 * size:
            return folder
    return None


def _available_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
