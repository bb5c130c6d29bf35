"""Row 12: looking through all records of a DICOMDIR, which first looks wait for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.benchmark.bench import Bench
from scripts.benchmark.processes import python, run
from scripts.benchmark.result import Comparison, Result, Rule
from tests.build.medium import Options

# CPU seconds: who else uses the machine is not what is measured.
_PASS: Final = """
import json, sys
from pathlib import Path
from time import process_time
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.indexing import read_index
from dicomfs.dicomdir.recovery.repair import repair
from dicomfs.source.file import FileSource
import os
source = FileSource(os.open(sys.argv[1], os.O_RDONLY))
directory = Directory(source)
start = process_time()
with open(os.devnull, "wb", buffering=0) as out:
    for at in range(0, source.size, 2**20):
        out.write(bytearray(source.read_at(at, 2**20)))
copied = process_time()
index = read_index(directory)
passed = process_time()
made = repair(index, directory.header.root, None)
checked = process_time()
if made.links is not None:
    sys.exit("the links are not sound")
print(json.dumps([copied - start, passed - copied, checked - copied]))
"""


# Not all are encoded as most are.
_FEW: Final = 10_000
_OTHERWISE: Final[dict[str, Options]] = {
    "in implicit VR": {"explicit": False},
    "of undefined lengths": {"undefined_items": True, "undefined_sequences": True},
}


def looking_through(bench: Bench) -> Iterator[Result]:
    """Row 12: looking through all records, beside copying the same bytes."""
    for records in bench.sizes.indexes:
        yield from _looking_through(bench, bench.media.index(records), records, "")
    for how, options in _OTHERWISE.items():
        place = bench.media.encoded(_FEW, how, options)
        yield from _looking_through(bench, place, _FEW, f" {how}")


def _looking_through(
    bench: Bench, medium: Path, records: int, how: str
) -> Iterator[Result]:
    taken = [_measured(medium / "DICOMDIR", records) for _ in range(bench.runs)]
    copying, passing, checking = zip(*taken, strict=True)
    for what, found in (
        ("looking through", passing),
        ("the whole check of", checking),
    ):
        yield Comparison(
            row=12,
            what=f"{what} {records:,} records{how}, each",
            against="copying the same bytes",
            a=found,
            b=copying,
            rule=Rule.MORE,
            target=2.0,
            unit="us",
            nominal=bench.is_nominal("records"),
            cache="DICOMDIR warm",
            note="CPU time",
        )


def _measured(place: Path, records: int) -> list[float]:
    """Return how many microseconds a record takes: copied, passed, and checked."""
    seconds: list[float] = json.loads(run(python(_PASS, place)))
    return [1e6 * each / records for each in seconds]
