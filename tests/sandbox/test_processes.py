"""What the processes of a command have of who called it, and what they can do."""

import fcntl
import json
import os
import pty
import resource
import subprocess
import sys
import termios
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.build.medium import image, patient, series, study, write_medium
from tests.sandbox.test_sandbox import FORBIDDEN, REFUSED, limit
from tests.support.intruder import BEGIN, END
from tests.support.mounting import (
    COMMAND,
    OF_A_MOUNT,
    PATIENCE,
    Mount,
    Mounter,
    environment,
    need_root,
    run,
    until,
)

pytestmark = pytest.mark.mount

# What is refused because the descriptor for it is gone, too.
_REFUSED: Final = REFUSED | {"EBADF"}


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    """Return a medium that is called after a patient, and has more than it lists."""
    root = tmp_path / "Doe_Jane"
    of_series = series("1.2.3", [image("1.2.3.4")])
    write_medium(root, [patient("Doe^Jane", "1", [study("1.2", [of_series])])])
    (root / "BELOW").mkdir()
    (root / "BELOW" / "FILE").write_bytes(b"123456789")
    (root / "LINK").symlink_to(tmp_path / "outside/BELOW/FILE")
    return root


# -- what they can do ------------------------------------------------------------------


@pytest.mark.parametrize("command", ["tree", "check", "repair", "scan", "mount"])
def test_who_takes_over_what_reads_a_medium_can_do_nothing(
    tmp_path: Path, medium: Path, command: str
) -> None:
    for folder in ("medium", "mnt", "outside/BELOW"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "outside/BELOW/FILE").write_bytes(b"x" * 9000)
    (tmp_path / "log").touch()
    asked = {
        "tree": ["tree", medium],
        "check": ["check", medium],
        "repair": ["repair", medium, "-o", tmp_path / "DICOMDIR"],
        "scan": ["tree", "--scan", medium],
        "mount": ["mount", medium, tmp_path / "mnt"],
    }[command]

    program = [sys.executable, "-P", "-m", "tests.support.intruder", str(tmp_path)]
    done = run([*program, *map(str, asked)])

    told = done.stderr.partition(BEGIN)[2].partition(END)[0]
    answers: dict[str, str] = json.loads(told)
    assert answers.keys() == FORBIDDEN.keys()
    assert {k: v for k, v in answers.items() if v not in _REFUSED} == {}


# -- what they have --------------------------------------------------------------------


@pytest.fixture(params=["background", "foreground"])
def mounted(
    request: pytest.FixtureRequest, mount: Mounter, medium: Path, tmp_path: Path
) -> Iterator[tuple[Mount, int, int]]:
    """Return a mount whose caller had a lock and a pipe, and the other ends of them."""
    place = tmp_path / "mnt"
    place.mkdir()
    shown = mount.adopt(medium, place)
    options = ["--foreground"] if request.param == "foreground" else []
    options += ["--log-file", str(shown.log_file)]
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    heard, said = os.pipe()
    terminal, ours = pty.openpty()
    called = subprocess.Popen(
        [*COMMAND, "mount", *options, *map(str, (medium, place))],
        env=environment(shown.mark, {"SECRET_TOKEN": "xyzzy", "TZ": "Asia/Tokyo"}),
        pass_fds=[lock, said],
        stdin=ours,
        stdout=ours,
        stderr=ours,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    if "--foreground" in options:
        shown.foreground = called
    else:
        assert called.wait(PATIENCE) == 0
    os.close(ours)
    os.close(lock)
    os.close(said)
    assert until(lambda: len(shown.processes) == OF_A_MOUNT and os.listdir(place))  # noqa: PTH208
    again = os.open(tmp_path / "lock", os.O_RDWR)
    yield shown, again, heard
    for each in (again, heard, terminal):
        os.close(each)


Mounted = tuple[Mount, int, int]


def descriptors(pid: int) -> dict[int, str]:
    return {
        int(each.name): str(each.readlink())
        for each in Path(f"/proc/{pid}/fd").iterdir()
    }


def test_a_mount_keeps_neither_a_lock_nor_a_pipe_of_who_called_it(
    mounted: Mounted,
) -> None:
    _, lock, pipe = mounted

    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.set_blocking(pipe, False)
    assert os.read(pipe, 1) == b""


def test_the_worker_of_a_mount_has_no_terminal(mounted: Mounted) -> None:
    worker = mounted[0].worker

    held = descriptors(worker)
    words = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()

    assert {held[each] for each in (0, 1, 2)} == {"/dev/null"}
    assert not [each for each in held.values() if "pts" in each or "log" in each]
    # The terminal of its session (proc(5)).
    assert words[4] == "0"
    assert limit(worker, "Max file size") == ["0", "0"]


def test_who_serves_a_mount_has_no_variable_but_what_it_needs(mounted: Mounted) -> None:
    for pid in mounted[0].processes:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        names = {each.partition(b"=")[0] for each in variables if each}

        assert {each for each in names if not each.startswith(b"DICOMFS_")} == {b"TZ"}


def test_nobody_sees_in_the_list_of_processes_what_is_mounted(mounted: Mounted) -> None:
    for pid in mounted[0].processes:
        called = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")

        assert called == b"dicomfs mount"


def test_no_process_of_a_mount_leaves_a_dump(mounted: Mounted) -> None:
    for pid in mounted[0].processes:
        assert limit(pid, "Max core file size") == ["0", "0"]


def test_the_log_is_made_for_its_owner_alone(mounted: Mounted) -> None:
    assert oct(mounted[0].log_file.stat().st_mode) == "0o100600"


# Aborts where dicomfs would begin to read, or where it has not begun to.
DYING: Final = """
import os, sys
from dicomfs.cli import main, sources
from dicomfs.fileset import open as opening
if sys.argv.pop(1) == "reading":
    opening.file_sets_of = lambda *_, **__: os.abort()
else:
    sources.opened = lambda *_: os.abort()
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["tree", "check", "mount"])
@pytest.mark.parametrize("when", ["opening", "reading"])
def test_no_command_leaves_a_dump(
    tmp_path: Path, medium: Path, command: str, when: str
) -> None:
    if not Path("/proc/sys/kernel/core_pattern").read_text().startswith("core"):
        pytest.skip("dumps do not lie where the process was")
    place = [str(tmp_path / "mnt")] if command == "mount" else []
    (tmp_path / "mnt").mkdir()
    (tmp_path / "here").mkdir()
    ulimit = resource.getrlimit(resource.RLIMIT_CORE)[1]

    done = subprocess.run(
        [sys.executable, "-P", "-c", DYING, when, command, str(medium), *place],
        env=environment("dump"),
        cwd=tmp_path / "here",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (ulimit, ulimit)),
    )

    assert done.returncode != 0 or (command, when) == ("mount", "reading")
    assert list((tmp_path / "here").iterdir()) == []


# -- passwords -------------------------------------------------------------------------


def memory(pid: int) -> Iterator[bytes]:
    """Yield what a process has in memory that can be written."""
    with Path(f"/proc/{pid}/mem").open("rb") as whole:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            if rights.startswith("rw"):
                begin, end = (int(each, 16) for each in span.split("-"))
                try:
                    whole.seek(begin)
                    yield whole.read(end - begin)
                except OSError:
                    continue


def test_only_the_worker_has_a_password_and_only_if_it_needs_it(
    mount: Mounter, medium: Path, tmp_path: Path
) -> None:
    need_root()
    password = b"open-sesame-0815"
    (tmp_path / "passwords").write_bytes(password + b"\n")
    archive = tmp_path / "portal.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for each in (medium, *medium.rglob("*")):
            if each.is_file() and not each.is_symlink():
                made.write(each, each.relative_to(medium))

    shown = mount(archive, "--password-file", tmp_path / "passwords")

    # No member of it is encrypted.
    for pid in shown.processes:
        assert not any(password in each for each in memory(pid))
    held = [each for pid in shown.processes for each in descriptors(pid).values()]
    assert str(tmp_path / "passwords") not in held
