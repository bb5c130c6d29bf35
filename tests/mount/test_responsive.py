"""A medium that hangs or goes away: whoever wants something else is served meanwhile."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from dicomfs.source.source import PAGE
from tests.build.medium import Written, image, patient, series, study, write_medium
from tests.support import mounting
from tests.support.hanging import Drive, drive
from tests.support.mounting import Mount, Mounter, User

pytestmark = [pytest.mark.mount, pytest.mark.alone]

HUNG: Final = 50
FILES: Final = HUNG + 12
SIZE: Final = 96 * 1024
# Of one file that is read at many places at once.
LARGE: Final = HUNG * 256 * 1024

# How requests fail that a mount leaves behind.
GONE: Final = {-errno.ENOTCONN, -errno.ECONNABORTED, -errno.EIO}

PULLED: Final = {-errno.ENOTCONN, -errno.ECONNABORTED, -errno.EIO, -errno.ENODEV}

# Reads a byte at each place, all at once, and says what came of it, and after how long.
READ_ALL: Final = """
import json, sys, threading, time
places = json.load(sys.stdin)
began, said = time.monotonic(), {}
def read(path, offset):
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(offset)
            outcome = len(file.read(1))
    except OSError as error:
        outcome = -error.errno
    said[f"{path} {offset}"] = outcome, time.monotonic() - began
threads = [threading.Thread(target=read, args=place) for place in places]
for thread in threads:
    thread.start()
print("reading", flush=True)
for thread in threads:
    thread.join()
print(json.dumps(said))
"""


def file_name(number: int) -> str:
    """Return where on the medium instance *number* is."""
    return f"IMAGES/I{number:03}"


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with many instances, of which the last one is large."""
    folder = tmp_path_factory.mktemp("disc") / "medium"
    write_disc(folder)
    return folder


def write_disc(folder: Path) -> Written:
    images = [
        image(
            f"1.2.3.1.{number}",
            number=number,
            file=file_name(number),
            size=LARGE if number == FILES else SIZE,
        )
        for number in range(1, FILES + 1)
    ]
    # With descriptions nothing is opened for a name.
    of_series = series("1.2.3.1", images, description="Thorax")
    of_study = study("1.2.3", [of_series], description="CT")
    other = patient("Roe^Ann", "2", [study("1.2.4", [], description="MR")])
    return write_medium(folder, [patient("Doe^Jane", "1", [of_study]), other])


@pytest.fixture
def troubled(disc: Path, ordinary_user: User, mount: Mounter) -> Iterator[Drive]:
    """Return a drive that reads the disc; it works again before the mount is ended."""
    del mount
    with drive(disc, ordinary_user.home / "drive") as made:
        yield made


class Clients:
    """A process that reads a byte at each of many places, all at once."""

    def __init__(
        self, places: Sequence[tuple[Path, int]], user: User | None = None
    ) -> None:
        command = [sys.executable, "-P", "-S", "-c", READ_ALL]
        self._process = subprocess.Popen(
            user.command(command) if user else command,
            env=mounting.environment(mounting.new_mark()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([[str(p), at] for p, at in places]))
        self._process.stdin.close()
        assert self._process.stdout.readline() == "reading\n"

    def outcomes(self) -> dict[str, tuple[int, float]]:
        """Return how many bytes each got, or minus the errno; and after how long."""
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            said: dict[str, tuple[int, float]] = json.loads(stdout.read())
        self._process.wait(mounting.PATIENCE)
        return said


def seconds(user: User, code: str, path: Path) -> float:
    """Return how long *code* takes with *path*, as *user*."""
    code = f"import os, sys, time\nat = time.monotonic()\n{code}\nprint(time.monotonic() - at)"
    done = mounting.run(
        user.command([sys.executable, "-P", "-S", "-c", code, str(path)])
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


READ: Final = 'assert open(sys.argv[1], "rb").read()'
LIST: Final = "assert os.listdir(sys.argv[1])"


@pytest.fixture(params=["us", "an ordinary user"])
def user(request: pytest.FixtureRequest, ordinary_user: User) -> User:
    """Return us, and somebody who may not tell the kernel anything."""
    if request.param == "us":
        return User(os.getuid(), os.getgid(), ordinary_user.home)
    return ordinary_user


def instances(mount: Mount) -> list[Path]:
    """Return the mounted instances by their numbers."""
    return sorted(mount.place.glob("Doe*/*/*/*.dcm"))


def places_of(files: Sequence[Path], what: str) -> list[tuple[Path, int]]:
    """Return where those read that will hang: in many files, or in the large one."""
    if what == "many files":
        return [(path, 0) for path in files[:HUNG]]
    return [(files[-1], at * LARGE // HUNG) for at in range(HUNG)]


# -- what hangs ------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["many files", "one file"])
def test_reads_that_hang_keep_nobody_else_waiting(
    troubled: Drive, mount: Mounter, user: User, what: str
) -> None:
    mounted = mount(troubled.place, user=user)
    files = as_user(user, mounted)
    healthy = files[HUNG : HUNG + 4]
    places = places_of(files, what)
    troubled.tell(hang=[file_name(number + 1) for number in hung(what)])
    clients = Clients(places, user)

    read = [seconds(user, READ, path) for path in healthy[:2]]
    listed = seconds(user, LIST, mounted.place / "Roe, Ann (2)")
    until_all_hang(troubled, hung(what))
    # All of them have come to the drive by now, and still nobody waits.
    read += [seconds(user, READ, path) for path in healthy[2:]]
    troubled.work_again()
    outcomes = clients.outcomes()

    assert max(*read, listed) < 2, (read, listed)
    assert {size for size, _ in outcomes.values()} == {1}
    assert len(outcomes) == HUNG


# -- what goes away --------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_drive_that_is_pulled_gives_errors_and_no_hang(
    troubled: Drive, mount: Mounter, seed: int
) -> None:
    mounted = mount(troubled.place)
    places = [(file, at) for file in instances(mounted) for at in (0, SIZE - 1)]
    random.Random(seed).shuffle(places)
    clients = Clients(places)
    moment = random.Random(seed).randrange(len(places))
    count = 0

    def has_come_so_far() -> bool:
        nonlocal count
        count += len(troubled.tell()["asked"])
        return count >= moment

    assert mounting.until(has_come_so_far)
    troubled.pull()
    outcomes = clients.outcomes()
    later = [errno_of(file) for file in instances(mounted)[:5]]

    assert len(outcomes) == len(places)
    assert {size for size, _ in outcomes.values()} <= {1, *PULLED}
    assert max(after for _, after in outcomes.values()) < 10
    assert {-error for error in later} <= {0, *PULLED}
    mounted.unmount()


def test_a_drive_that_comes_back_is_read_again(troubled: Drive, mount: Mounter) -> None:
    files = instances(mount(troubled.place))
    troubled.tell(gone=True)
    failed = [errno_of(file) for file in files[:5]]
    troubled.tell(gone=False)

    assert failed == [errno.EIO] * 5
    assert [errno_of(file) for file in files] == [0] * len(files)


def test_reads_that_failed_as_the_drive_was_away_are_not_repeated_for_a_while(
    troubled: Drive, mount: Mounter
) -> None:
    file = instances(mount(troubled.place))[0]
    with file.open("rb", buffering=0) as opened:
        troubled.tell(gone=True)
        with pytest.raises(OSError, match="Input/output error"):
            opened.read(1)
        troubled.tell(gone=False)

        with pytest.raises(OSError, match="Input/output error"):
            opened.read(1)

        # The page that failed rests; all others are read.
        assert len(os.pread(opened.fileno(), SIZE, PAGE)) > SIZE - 2 * PAGE
    assert [at for _, at, _ in troubled.tell()["asked"] if 0 <= at < PAGE] == []


def until_all_hang(troubled: Drive, which: Sequence[int]) -> None:
    """Wait until the drive was asked for something at so many places of the files."""
    names = {file_name(number + 1) for number in which}
    asked: set[tuple[str, int]] = set()

    def all_hang() -> bool:
        asked.update((name, at) for name, at, _ in troubled.tell()["asked"])
        return len([name for name, _ in asked if name in names]) >= HUNG

    assert mounting.until(all_hang), asked


def errno_of(path: Path) -> int:
    """Return how reading a file fails, 0 if it does not."""
    try:
        path.read_bytes()
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def hung(what: str) -> Sequence[int]:
    """Return which instances hang, counted from 0."""
    return range(HUNG) if what == "many files" else [FILES - 1]


def as_user(user: User, mounted: Mount) -> list[Path]:
    """Return the mounted instances by their numbers, as *user* finds them."""
    code = "import glob, sys; print(*glob.glob(sys.argv[1]), sep=chr(10))"
    pattern = str(mounted.place / "Doe*/*/*/*.dcm")
    done = mounting.run(user.command([sys.executable, "-P", "-S", "-c", code, pattern]))
    return [Path(line) for line in sorted(done.stdout.splitlines())]


def test_a_request_that_hangs_fails_at_its_deadline_and_alone(
    troubled: Drive, mount: Mounter
) -> None:
    mounted = mount(troubled.place, "--deadline", "1")
    mounted.expect_log("read failed: TooSlowError")
    files = instances(mounted)
    troubled.tell(hang=[file_name(1)])

    outcomes = Clients([(files[0], 0), (files[1], 0)]).outcomes()

    assert [outcomes[f"{file} 0"][0] for file in files[:2]] == [-errno.EIO, 1]


def test_nobody_is_sent_after_bytes_that_hang_already(
    troubled: Drive, mount: Mounter
) -> None:
    mounted = mount(troubled.place, "--deadline", "1")
    mounted.expect_log("read failed: TooSlowError")
    file = instances(mounted)[0]
    troubled.tell(hang=[file_name(1)])
    assert errno_of(file) == errno.EIO

    again = [errno_of(file) for _ in range(20)]
    asked = troubled.tell()["asked"]
    troubled.work_again()

    assert again == [errno.EIO] * 20
    assert len([at for name, at, _ in asked if name == file_name(1) and at >= 0]) <= 1
    assert mounting.until(lambda: errno_of(file) == 0)


def test_a_file_whose_opening_hangs_keeps_no_other_from_being_opened(
    troubled: Drive, mount: Mounter
) -> None:
    mounted = mount(troubled.place, "--deadline", "1")
    mounted.expect_log("open failed: TooSlowError")
    files = instances(mounted)
    troubled.tell(hang_open=[file_name(1)])

    outcomes = [errno_of(file) for file in (files[0], files[1], files[0])]
    troubled.work_again()

    assert outcomes == [errno.EIO, 0, errno.EIO]
    assert mounting.until(lambda: errno_of(files[0]) == 0)
    # What was opened too late is closed again.
    assert mounting.until(lambda: troubled.tell()["open"] == ["DICOMDIR"])


def test_files_whose_closing_hangs_keep_no_other_from_being_read(
    troubled: Drive, mount: Mounter
) -> None:
    files = instances(mount(troubled.place, "--deadline", "10"))
    stuck = [file_name(number) for number in range(1, 5)]
    troubled.tell(hang_close=stuck)

    outcomes = [errno_of(file) for file in files[:20]]
    freed = mounting.until(lambda: set(troubled.tell()["open"]) == {"DICOMDIR", *stuck})
    troubled.work_again()

    assert outcomes == [0] * 20
    assert freed
    assert mounting.until(lambda: troubled.tell()["open"] == ["DICOMDIR"])


@pytest.mark.parametrize("what", ["hang", "hang_open"])
def test_a_mount_ends_within_five_seconds_while_the_drive_hangs(
    troubled: Drive, mount: Mounter, what: str
) -> None:
    mounted = mount(troubled.place, foreground=True)
    assert mounted.foreground is not None
    files = instances(mounted)
    troubled.tell(**{what: [file_name(number + 1) for number in range(HUNG)]})
    clients = Clients(places_of(files, "many files"))
    until_all_hang(troubled, range(HUNG))

    began = time.monotonic()
    os.kill(mounted.foreground.pid, signal.SIGTERM)
    code = mounted.foreground.wait(mounting.PATIENCE)
    took = time.monotonic() - began
    outcomes = clients.outcomes()

    assert code == 0
    assert took < 5
    assert not mounting.is_mounted(mounted.place)
    assert {size for size, _ in outcomes.values()} <= GONE
    troubled.work_again()
    assert mounted.has_ended()
