"""The example of many machines: a scheduler, two workers and an object store on loopback."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.build.images import make_iso
from tests.build.medium import image, patient, series, study, write_medium
from tests.support.mounting import (
    PATIENCE,
    ROOT,
    environment,
    need_packages,
    new_mark,
    run,
    until,
)
from tests.support.servers import s3_server

pytestmark = [pytest.mark.slow, pytest.mark.late]

IMAGES: Final = 4
_SCHEDULER: Final = "tcp://scheduler:8786"
# It takes its time to import, on a busy machine.
_PATIENCE: Final = 2 * PATIENCE
_QUIET: Final = ("--no-dashboard", "--host", "127.0.0.1", "--port", "0")


def example() -> str:
    """Return the program in the manual."""
    text = (ROOT / "docs/library.md").read_text("utf-8")
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.MULTILINE)
    [block] = [each for each in blocks if _SCHEDULER in each]
    return "\n".join(
        line.removeprefix("    ") for line in block.strip("\n").split("\n")
    )


@contextmanager
def running(*arguments: str, env: dict[str, str]) -> Iterator[None]:
    """Have a program of distributed run for a while."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def cluster(folder: Path, env: dict[str, str]) -> Iterator[str]:
    """Start a scheduler and two workers; return the address of the scheduler."""
    told = folder / "scheduler.json"
    where = ("--scheduler-file", str(told))
    one = ("--no-nanny", "--nthreads", "1", "--local-directory", str(folder))
    worker = ("distributed.cli.dask_worker", *where, *_QUIET[:3], *one)
    with running("distributed.cli.dask_scheduler", *_QUIET, *where, env=env):
        assert until(lambda: told.exists() and told.read_text(), _PATIENCE)
        with running(*worker, env=env), running(*worker, env=env):
            yield str(json.loads(told.read_text())["address"])


class Shelf(NamedTuple):
    """A cluster by its address, and the environment in which programs find the shelf."""

    address: str
    env: dict[str, str]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Put images into an object store, and start a cluster."""
    need_packages("distributed", "s3fs")
    folder = tmp_path_factory.mktemp("shelf")
    with s3_server() as server:
        server.make("shelf")
        for number in range(IMAGES):
            pictures = [image(f"1.{number}.1.{n}", number=n) for n in (1, 2)]
            lungs = series(f"1.{number}.1", pictures, modality="CT")
            doe = patient("Doe", f"P{number}", [study(f"1.{number}", [lungs])])
            write_medium(folder / f"{number}", [doe])
            iso = make_iso(folder / f"{number}", folder / f"{number}.iso")
            server.put("shelf", iso.name, iso.read_bytes())
        server.put("shelf", "broken.iso", bytes(100_000))
        env = environment(new_mark(), {**os.environ, **server.environment})
        with cluster(folder, env) as address:
            yield Shelf(address, env)


def test_ten_lines_catalogue_a_shelf_on_a_cluster(shelf: Shelf, tmp_path: Path) -> None:
    program = example()
    assert len([line for line in program.splitlines() if line]) == 10
    script = tmp_path / "shelf.py"
    told = '\nprint(len(client.scheduler_info()["workers"]), "workers")\n'
    waits = "client.wait_for_workers(2)\nshelf = ["
    code = program.replace(_SCHEDULER, shelf.address).replace("shelf = [", waits)
    script.write_text(code + told)

    command = [sys.executable, "-P", str(script)]
    done = run(command, env=shelf.env, seconds=_PATIENCE)

    assert done.returncode == 0, done.stderr
    *rows, workers = done.stdout.splitlines()
    assert [row.split()[:3] for row in rows] == [
        [f"s3://shelf/{number}.iso", f"P{number}", "CT"] for number in range(IMAGES)
    ]
    assert workers == "2 workers"
