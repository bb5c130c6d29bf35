"""How a mount begins, how it does not, and how it ends."""

import contextlib
import fcntl
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import subprocess
import termios
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from dicomfs.cli.codes import Exit
from tests.build.medium import (
    build_layout,
    image,
    instance_bytes,
    patient,
    series,
    study,
    write_medium,
)
from tests.support import mounting
from tests.support.mounting import (
    COMMAND,
    OF_A_MOUNT,
    BarePython,
    Finished,
    Mount,
    Mounter,
    User,
    changed,
    dicomfs,
    environment,
    is_mounted,
    lack,
    marked,
    need,
    need_root,
    new_mark,
    run,
    send,
    tool_path,
    until,
)

pytestmark = pytest.mark.mount

MODES: Final = [(), ("--foreground",)]


@pytest.fixture(autouse=True)
def fuse() -> None:
    need("fusermount3", "/dev/fuse")


@pytest.fixture(params=MODES, ids=["in the background", "in the foreground"])
def mode(request: pytest.FixtureRequest) -> tuple[str, ...]:
    chosen: tuple[str, ...] = request.param
    return chosen


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return an empty folder to mount on."""
    folder = tmp_path / "mnt"
    folder.mkdir()
    return folder


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    """Return a small medium in good order."""
    return a_medium(tmp_path / "medium")


def a_medium(folder: Path) -> Path:
    one = image("1.2.3.4", size=300_000)
    write_medium(
        folder, [patient("Doe^Jane", "1", [study("1.2", [series("1", [one])])])]
    )
    return folder


def assert_fails(done: Finished, exit_code: Exit) -> None:
    """See that a command failed as it should: its code, and two lines that say why."""
    assert "Traceback" not in done.stderr
    assert done.returncode == exit_code, done.stderr
    what, mend = done.stderr.splitlines()
    assert re.match(r"dicomfs: \S", what)
    assert re.match(r"dicomfs: to mend it: \S", mend)
    assert done.stdout == ""


def assert_mount_fails(
    command: Sequence[str], place: Path, exit_code: Exit, before: bool = False
) -> Finished:
    """See that a command to mount fails, and leaves everything as it was."""
    mark = new_mark()
    try:
        done = run(command, mark=mark)
        assert_fails(done, exit_code)
        assert is_mounted(place) is before
        assert until(lambda: not marked(mark), 5)
    finally:
        mounting.kill(*marked(mark))
        if not before:
            mounting.force_off(place)
    return done


# -- what is wrong with the source -----------------------------------------------------


def _missing(folder: Path) -> Path:
    return folder / "missing"


def _below_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "medium"


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


def _socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "socket"))
    return folder / "socket"


def _device(folder: Path) -> Path:
    del folder
    return Path("/dev/null")


def _loop(folder: Path) -> Path:
    (folder / "loop").symlink_to("loop")
    return folder / "loop"


def _no_dicomdir(folder: Path) -> Path:
    (folder / "source" / "IMAGES").mkdir(parents=True)
    (folder / "source" / "IMAGES" / "ONE").write_bytes(instance_bytes())
    return folder / "source"


def _too_deep(folder: Path) -> Path:
    a_medium(folder / "source/1/2/3/4")
    return folder / "source"


def _with_dicomdir(data: bytes) -> Callable[[Path], Path]:
    def arrange(folder: Path) -> Path:
        (folder / "source").mkdir()
        (folder / "source" / "DICOMDIR").write_bytes(data)
        return folder / "source"

    return arrange


def _given_itself(folder: Path) -> Path:
    return _with_dicomdir(b"no DICOM")(folder) / "DICOMDIR"


def _an_instance(folder: Path) -> Path:
    return _with_dicomdir(instance_bytes())(folder) / "DICOMDIR"


def _broken(folder: Path) -> Path:
    written = build_layout([patient("Doe^Jane", "1", [])])
    cut_off = written.data[: min(written.offsets.values()) + 4]
    return _with_dicomdir(cut_off)(folder)


SOURCES: Final[dict[str, tuple[Callable[[Path], Path], Exit]]] = {
    "missing": (_missing, Exit.SOURCE_MISSING),
    "below a file": (_below_a_file, Exit.SOURCE_MISSING),
    "a FIFO": (_fifo, Exit.SOURCE_UNSUPPORTED),
    "a socket": (_socket, Exit.SOURCE_UNSUPPORTED),
    "a device": (_device, Exit.SOURCE_UNSUPPORTED),
    "a link to itself": (_loop, Exit.SOURCE_UNREADABLE),
    "without a DICOMDIR": (_no_dicomdir, Exit.NO_DICOMDIR),
    "with a DICOMDIR too deep down": (_too_deep, Exit.NO_DICOMDIR),
    "with an empty DICOMDIR": (_with_dicomdir(b""), Exit.NOT_DICOM),
    "with a text as DICOMDIR": (_with_dicomdir(b"Hello\n" * 99), Exit.NOT_DICOM),
    "with zeros as DICOMDIR": (_with_dicomdir(bytes(4096)), Exit.NOT_DICOM),
    "a file that is no DICOMDIR": (_given_itself, Exit.NOT_DICOM),
    "an instance": (_an_instance, Exit.NOT_DICOM),
    "with a DICOMDIR that is cut off": (_broken, Exit.DICOMDIR_BROKEN),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_cannot_be_mounted_is_refused(
    tmp_path: Path, place: Path, mode: tuple[str, ...], source: str
) -> None:
    arrange, exit_code = SOURCES[source]
    given = arrange(tmp_path)

    assert_mount_fails(
        [*COMMAND, "mount", *mode, str(given), str(place)], place, exit_code
    )


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_cannot_be_mounted_cannot_be_shown_either(
    tmp_path: Path, source: str
) -> None:
    arrange, exit_code = SOURCES[source]

    assert_fails(dicomfs("tree", arrange(tmp_path)), exit_code)


@pytest.mark.parametrize("closed", ["medium", "medium/DICOMDIR", "."])
def test_a_source_that_may_not_be_read_is_refused(
    public_folder: Path, mode: tuple[str, ...], closed: str
) -> None:
    medium = a_medium(public_folder / "closed" / "medium")
    place = public_folder / "mnt"
    place.mkdir()
    command = [*COMMAND, "mount", *mode, str(medium), str(place)]

    with shut(public_folder / "closed" / closed) as without_rights:
        assert_mount_fails([*without_rights, *command], place, Exit.SOURCE_UNREADABLE)


class shut:  # noqa: N801 - reads as what it does
    """A path that may not be read; by root only without the right to read all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mode = path.stat().st_mode

    def __enter__(self) -> list[str]:
        self.path.chmod(0)
        if os.getuid() != 0:
            return []
        need("setpriv")
        return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]

    def __exit__(self, *_: object) -> None:
        self.path.chmod(self.mode)


# -- what is wrong with the mountpoint -------------------------------------------------


def _no_place(medium: Path) -> Path:
    return medium.parent / "nothing"


def _place_below_a_file(medium: Path) -> Path:
    (medium.parent / "file").touch()
    return medium.parent / "file" / "mnt"


def _place_is_a_file(medium: Path) -> Path:
    (medium.parent / "file").touch()
    return medium.parent / "file"


def _place_is_not_empty(medium: Path) -> Path:
    (medium.parent / "full" / "below").mkdir(parents=True)
    return medium.parent / "full"


def _place_inside(medium: Path) -> Path:
    (medium / "mnt").mkdir()
    return medium / "mnt"


def _place_inside_by_a_link(medium: Path) -> Path:
    (medium.parent / "link").symlink_to(_place_inside(medium))
    return medium.parent / "link"


def _place_around(medium: Path) -> Path:
    return medium.parent


def _place_with_too_long_a_name(medium: Path) -> Path:
    return medium.parent / ("n" * 300)


PLACES: Final[dict[str, tuple[Callable[[Path], Path], Exit]]] = {
    "missing": (_no_place, Exit.MOUNTPOINT_MISSING),
    "below a file": (_place_below_a_file, Exit.MOUNTPOINT_NOT_FOLDER),
    "a file": (_place_is_a_file, Exit.MOUNTPOINT_NOT_FOLDER),
    "not empty": (_place_is_not_empty, Exit.MOUNTPOINT_NOT_EMPTY),
    "inside the source": (_place_inside, Exit.MOUNTPOINT_OVERLAPS),
    "inside by a link": (_place_inside_by_a_link, Exit.MOUNTPOINT_OVERLAPS),
    "around the source": (_place_around, Exit.MOUNTPOINT_OVERLAPS),
    "the source itself": (Path, Exit.MOUNTPOINT_OVERLAPS),
    "too long a name": (_place_with_too_long_a_name, Exit.MOUNT_REFUSED),
}


@pytest.mark.parametrize("where", PLACES)
def test_a_mountpoint_that_cannot_be_used_is_refused(
    medium: Path, mode: tuple[str, ...], where: str
) -> None:
    arrange, exit_code = PLACES[where]
    place = arrange(medium)

    assert_mount_fails(
        [*COMMAND, "mount", *mode, str(medium), str(place)], place, exit_code
    )


def test_the_folder_of_a_dicomdir_file_is_the_source(medium: Path) -> None:
    place = _place_inside(medium)
    command = [*COMMAND, "mount", str(medium / "DICOMDIR"), str(place)]

    assert_mount_fails(command, place, Exit.MOUNTPOINT_OVERLAPS)


def test_a_mountpoint_that_may_not_be_read_is_refused(
    medium: Path, public_folder: Path
) -> None:
    place = public_folder / "closed" / "mnt"
    place.mkdir(parents=True)
    command = [*COMMAND, "mount", str(medium), str(place)]

    with shut(public_folder / "closed") as without_rights:
        assert_mount_fails([*without_rights, *command], place, Exit.MOUNT_REFUSED)


def test_a_mountpoint_of_somebody_else_is_refused(
    ordinary_user: User, public_folder: Path
) -> None:
    need_root()
    medium = ordinary_user.owns(a_medium(public_folder / "medium"))
    place = public_folder / "mnt"
    place.mkdir(mode=0o755)
    command = ordinary_user.dicomfs("mount", str(medium), str(place))

    assert_mount_fails(command, place, Exit.MOUNT_REFUSED)


def test_a_second_mount_on_the_same_place_is_refused(
    mount: Mounter, medium: Path, mode: tuple[str, ...]
) -> None:
    first = mount(medium)
    command = [*COMMAND, "mount", *mode, str(medium), str(first.place)]

    done = assert_mount_fails(command, first.place, Exit.MOUNTPOINT_IN_USE, before=True)

    assert "dicomfs umount" in done.stderr
    assert len(first.files()) == 1
    first.unmount()


def test_a_place_where_somebody_else_has_mounted_is_refused(
    mount: Mounter, ordinary_user: User
) -> None:
    need_root()
    medium = ordinary_user.owns(a_medium(ordinary_user.home / "medium"))
    theirs = mount(medium, user=ordinary_user)
    command = [*COMMAND, "mount", str(medium), str(theirs.place)]

    assert_mount_fails(command, theirs.place, Exit.MOUNTPOINT_IN_USE, before=True)


def test_one_medium_can_be_mounted_twice(mount: Mounter, medium: Path) -> None:
    first, second = mount(medium), mount(medium)

    assert first.structure() == second.structure()


# -- dead mounts -----------------------------------------------------------------------
#
# Whoever ends a mount clears dead ones of the same number, which the kernel gives again:
# nobody else may mount meanwhile.


def killed(mount: Mount) -> Mount:
    """Kill all that serves *mount*, so that nobody cleans up.

    The kernel keeps what it knows of the mount: it has been looked at before.
    """
    mount.files()
    mounting.kill_together(mount.supervisor, mount.watcher, mount.worker)
    assert until(lambda: not mount.processes)
    assert is_mounted(mount.place)
    return mount


@pytest.mark.alone
def test_a_dead_mount_of_ours_is_cleared_away(
    mount: Mounter, medium: Path, mode: tuple[str, ...]
) -> None:
    dead = killed(mount(medium))

    alive = mount(medium, place=dead.place, foreground=bool(mode))

    assert len(alive.files()) == 1
    alive.unmount()


@pytest.mark.alone
def test_a_dead_mount_of_somebody_else_is_left_alone(
    mount: Mounter, ordinary_user: User
) -> None:
    need_root()
    medium = a_medium(ordinary_user.home / "medium")
    ordinary_user.owns(medium)
    # Of a mount that is closed to others they cannot even see that it is dead.
    ours = mount(medium, "--allow-other", place=ordinary_user.home / "mnt")
    dead = killed(ours)
    command = ordinary_user.dicomfs("mount", str(medium), str(dead.place))

    done = assert_mount_fails(command, dead.place, Exit.MOUNTPOINT_STALE, before=True)

    assert "transport endpoint is not connected" in done.stderr.lower()


@pytest.mark.alone
def test_a_dead_mount_can_be_unmounted(mount: Mounter, medium: Path) -> None:
    dead = killed(mount(medium))

    done = dicomfs("umount", dead.place)

    assert (done.returncode, done.stderr) == (0, "")
    assert not is_mounted(dead.place)


# -- what the machine lacks ------------------------------------------------------------


def without(*preparations: str) -> list[str]:
    """Return what runs a command where the machine lacks something."""
    need("unshare", "mount")
    user = [] if os.getuid() == 0 else ["--map-root-user"]
    prefix = ["unshare", "--mount", *user, "sh", "-c"]
    script = " && ".join([*preparations, 'exec "$@"'])
    if run([*prefix, script, "sh", "true"]).returncode:
        lack("may not make a mount namespace")
    return [*prefix, script, "sh"]


@pytest.mark.alone
def test_a_machine_without_the_fuse_device_says_so(
    medium: Path, place: Path, mode: tuple[str, ...]
) -> None:
    here = without("mount -t tmpfs none /dev", "mknod /dev/null c 1 3")
    command = [*COMMAND, "mount", *mode, str(medium), str(place)]

    done = assert_mount_fails([*here, *command], place, Exit.NO_FUSE_DEVICE)

    assert "modprobe fuse" in done.stderr


def without_fusermount() -> list[str]:
    """Return what runs a command where fusermount3 is not installed."""
    found = shutil.which("fusermount3")
    assert found is not None
    return without(f"mount --bind /dev/null {Path(found).resolve()}")


@pytest.mark.alone
def test_a_machine_without_fusermount3_says_what_to_install(
    ordinary_user: User, mode: tuple[str, ...]
) -> None:
    need_root()
    medium = ordinary_user.owns(a_medium(ordinary_user.home / "medium"))
    place = ordinary_user.home / "mnt"
    place.mkdir()
    ordinary_user.owns(place)
    command = ordinary_user.dicomfs("mount", *mode, str(medium), str(place))

    done = assert_mount_fails(
        [*without_fusermount(), *command], place, Exit.NO_FUSERMOUNT
    )

    assert "apt install fuse3" in done.stderr


def test_root_needs_no_fusermount3(medium: Path, place: Path) -> None:
    need_root()
    dicomfs = shlex.join(COMMAND)
    both = (
        f"{dicomfs} mount {shlex.quote(str(medium))} {shlex.quote(str(place))} && "
        f"ls {shlex.quote(str(place))} && {dicomfs} umount {shlex.quote(str(place))}"
    )

    done = run([*without_fusermount(), "sh", "-c", both])

    assert (done.returncode, done.stdout) == (0, "Doe, Jane (1)\n"), done.stderr


def test_a_machine_without_pyfuse3_says_what_to_install(
    bare_python: BarePython, medium: Path, place: Path
) -> None:
    done = bare_python.dicomfs("mount", medium, place)

    assert_fails(done, Exit.NO_PYFUSE3)
    assert "pip install pyfuse3" in done.stderr
    assert not is_mounted(place)


def stub(folder: Path, module: str, code: str) -> dict[str, str]:
    """Return the environment in which importing *module* runs *code*."""
    (folder / "stubs").mkdir()
    (folder / "stubs" / f"{module}.py").write_text(code)
    return {"PYTHONPATH": f"{folder / 'stubs'}{os.pathsep}{mounting.ROOT}"}


def test_a_pyfuse3_that_cannot_be_loaded_is_as_good_as_none(
    tmp_path: Path, medium: Path, place: Path, mode: tuple[str, ...]
) -> None:
    said = "libfuse3.so.3: cannot open shared object file"
    env = stub(tmp_path, "pyfuse3", f"raise ImportError({said!r})")

    done = dicomfs("mount", *mode, medium, place, env=env)

    assert_fails(done, Exit.NO_PYFUSE3)
    assert said in done.stderr
    assert not is_mounted(place)


def test_a_server_that_dies_at_once_is_told_from_one_that_serves(
    tmp_path: Path, medium: Path, place: Path, mode: tuple[str, ...]
) -> None:
    env = stub(tmp_path, "trio", "import os; os._exit(9)")

    done = dicomfs("mount", *mode, medium, place, env=env)

    assert_fails(done, Exit.WORKER_DIED)
    assert not is_mounted(place)


def test_letting_others_in_needs_leave_from_the_administrator(
    ordinary_user: User,
) -> None:
    need_root()
    conf = Path("/etc/fuse.conf")
    if conf.exists() and re.search("^user_allow_other", conf.read_text(), re.MULTILINE):
        lack("needs an /etc/fuse.conf without user_allow_other")
    medium = ordinary_user.owns(a_medium(ordinary_user.home / "medium"))
    place = ordinary_user.home / "mnt"
    place.mkdir()
    ordinary_user.owns(place)
    options = ["--allow-other", "--umask", "022"]
    command = ordinary_user.dicomfs("mount", *options, str(medium), str(place))

    done = assert_mount_fails(command, place, Exit.MOUNT_REFUSED)

    assert "user_allow_other" in done.stderr.splitlines()[1]


# -- the beginning ---------------------------------------------------------------------


def test_mount_returns_when_the_mount_answers(mount: Mounter, medium: Path) -> None:
    shown = mount(medium)

    assert [path.name for path in shown.files()] == ["0001.dcm"]
    assert str(shown.place) in shown.said
    assert shown.said.startswith("dicomfs: mounted on ")


def test_what_runs_in_the_background_holds_nothing_of_its_caller(
    mount: Mounter, medium: Path
) -> None:
    # Mounter reads stdout and stderr of the command to their ends.
    shown = mount(medium)

    assert len(shown.processes) == OF_A_MOUNT
    for pid in shown.processes:
        proc = Path(f"/proc/{pid}")
        assert until(lambda proc=proc: str((proc / "cwd").readlink()) == "/")  # type: ignore[misc]
        assert {str((proc / f"fd/{fd}").readlink()) for fd in range(3)} == {"/dev/null"}
        assert os.getsid(pid) != os.getsid(0)


def test_a_mount_outlives_the_terminal_of_who_asked_for_it(
    mount: Mounter, medium: Path, place: Path
) -> None:
    shown = mount.adopt(medium, place)
    # Who asked ends, and hangs up, before the supervisor can let go of the terminal.
    code = (
        "import os, select; from dicomfs.sandbox import process;"
        "caller = os.getpid(); detach = process.detach;"
        "process.detach = lambda: ("
        "os.getppid() == caller and"
        " select.select([os.pidfd_open(caller)], [], [], 0.5), detach())"
    )
    terminal, theirs = pty.openpty()
    called = subprocess.Popen(
        [*changed(code), "mount", str(medium), str(place)],
        env=environment(shown.mark),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    assert called.wait(mounting.PATIENCE) == 0
    os.close(terminal)

    assert [path.name for path in shown.files()] == ["0001.dcm"]
    assert len(shown.processes) == OF_A_MOUNT


# What the caller does when it is told that the mount is ready.
INTERRUPTED: Final = "expect(*given), os.kill(os.getpid(), signal.SIGINT)"
INTERRUPTED_LATER: Final = "acknowledge(*given), os.kill(os.getpid(), signal.SIGINT)"
KILLED: Final = "os.kill(os.getpid(), signal.SIGKILL)"


def caller_that(function: str, does: str) -> list[str]:
    """Return the command of a caller that *does* something in a *function* of control."""
    code = (
        "import os, signal; from dicomfs.mount import control; caller = os.getpid();"
        f"{function} = control.{function}; control.{function} = lambda *given:"
        f" ({does}) if os.getpid() == caller else {function}(*given)"
    )
    return [*changed(code), "mount"]


@pytest.mark.parametrize(
    ("function", "does", "code"),
    [
        ("expect", INTERRUPTED, Exit.INTERRUPTED),
        ("acknowledge", KILLED, -signal.SIGKILL),
    ],
    ids=["interrupted", "killed"],
)
def test_a_mount_that_nobody_has_heard_of_is_none(
    mount: Mounter, medium: Path, place: Path, function: str, does: str, code: int
) -> None:
    shown = mount.adopt(medium, place)
    command = caller_that(function, does)

    done = run([*command, str(medium), str(place)], mark=shown.mark)

    assert done.returncode == code
    assert shown.has_ended()


def test_who_was_told_of_a_mount_is_not_interrupted_any_more(
    mount: Mounter, medium: Path, place: Path
) -> None:
    shown = mount.adopt(medium, place)
    command = caller_that("acknowledge", INTERRUPTED_LATER)

    done = run([*command, str(medium), str(place)], mark=shown.mark)

    assert (done.returncode, done.stderr.count("mounted on")) == (0, 1)
    assert len(shown.processes) == OF_A_MOUNT


def test_a_caller_that_is_stopped_keeps_nobody_from_watching_the_mount(
    mount: Mounter, medium: Path, place: Path
) -> None:
    shown = mount.adopt(medium, place)
    does = "os.kill(caller, signal.SIGSTOP), acknowledge(*given)"
    command = [*caller_that("acknowledge", does), str(medium), str(place)]
    called = subprocess.Popen(
        command, env=environment(shown.mark), stderr=subprocess.DEVNULL
    )
    assert until(lambda: is_mounted(place) and shown.files())

    os.kill(shown.worker, signal.SIGKILL)

    assert until(lambda: not is_mounted(place), 3)
    os.kill(called.pid, signal.SIGCONT)
    assert called.wait(mounting.PATIENCE) == 0
    assert shown.has_ended()


def test_the_supervisor_keeps_neither_the_medium_nor_the_mount_open(
    mount: Mounter, medium: Path
) -> None:
    shown = mount(medium)

    held = {str(fd.readlink()) for fd in Path(f"/proc/{shown.supervisor}/fd").iterdir()}

    assert "/dev/fuse" not in held
    assert not any(path.startswith(str(medium)) for path in held)


def test_the_supervisor_has_nothing_loaded_that_parses(
    mount: Mounter, medium: Path
) -> None:
    shown = mount(medium)
    shown.files()

    mapped = Path(f"/proc/{shown.supervisor}/maps").read_text()

    assert "pyfuse3" not in mapped
    assert "libfuse3" not in mapped


def test_source_and_mountpoint_may_be_relative(
    mount: Mounter, medium: Path, place: Path
) -> None:
    shown = mount.adopt(medium, place)

    done = dicomfs("mount", "medium", "mnt", mark=shown.mark, cwd=medium.parent)

    assert (done.returncode, len(shown.files())) == (0, 1)
    assert dicomfs("umount", "mnt", cwd=medium.parent).returncode == 0
    assert shown.has_ended()


@pytest.mark.parametrize("trailing", ["/", "/.", "/../mnt/"])
def test_a_mountpoint_may_be_written_in_any_way(
    mount: Mounter, medium: Path, place: Path, trailing: str
) -> None:
    shown = mount.adopt(medium, place)

    done = dicomfs("mount", f"{medium}/", f"{place}{trailing}", mark=shown.mark)

    assert (done.returncode, len(shown.files())) == (0, 1)
    assert dicomfs("umount", f"{place}{trailing}").returncode == 0


def test_links_to_source_and_mountpoint_are_followed(
    mount: Mounter, medium: Path, place: Path
) -> None:
    shown = mount.adopt(medium, place)
    (medium.parent / "to medium").symlink_to(medium)
    (medium.parent / "to mnt").symlink_to(place)
    links = (medium.parent / "to medium", medium.parent / "to mnt")

    done = dicomfs("mount", *links, mark=shown.mark)

    assert (done.returncode, len(shown.files())) == (0, 1)
    assert dicomfs("umount", links[1]).returncode == 0
    assert shown.has_ended()


NAMES: Final = {
    "blanks": b" two  blanks ",
    "quotes": b"""it's "so" `called`""",
    "shell": b"$(x) & | ; * ? [a] {b} ~ !",
    "comma and equals": b"fsname=x,rw",
    "backslashes": b"back\\slash\\040",
    "newline and tab": b"new\nline\ttab",
    "dash": b"-o",
    "umlaut": "Müller 山田".encode(),
    "not UTF-8": b"\xff\xfe\x80",
    "255 bytes": b"n" * 255,
}


@pytest.mark.parametrize("name", NAMES)
def test_source_and_mountpoint_may_have_any_name(
    mount: Mounter, tmp_path: Path, name: str
) -> None:
    called = os.fsdecode(NAMES[name])
    medium = a_medium(tmp_path / "media" / called)
    place = tmp_path / "mounts" / called
    place.mkdir(parents=True)

    shown = mount(medium, place=place)

    assert len(shown.files()) == 1
    assert dicomfs("umount", place).returncode == 0
    assert shown.has_ended()


@pytest.mark.parametrize("name", ["blanks", "quotes", "shell", "backslashes", "umlaut"])
def test_the_command_that_ends_it_can_be_pasted(
    mount: Mounter, medium: Path, tmp_path: Path, name: str
) -> None:
    place = tmp_path / os.fsdecode(NAMES[name])
    place.mkdir()

    shown = mount(medium, place=place)

    hint = shown.said.strip().partition("to end it: ")[2]
    assert shlex.split(hint) == ["dicomfs", "umount", str(place)]


def test_a_log_file_is_for_who_mounts_alone(mount: Mounter, medium: Path) -> None:
    shown = mount(medium)

    assert oct(shown.log_file.stat().st_mode & 0o777) == oct(0o600)


def test_a_log_file_that_cannot_be_written_is_refused(
    medium: Path, place: Path, mode: tuple[str, ...]
) -> None:
    log_file = str(place.parent / "missing" / "log")
    options = [*mode, "--log-file", log_file]

    assert_mount_fails(
        [*COMMAND, "mount", *options, str(medium), str(place)], place, Exit.USAGE
    )


def test_the_log_names_no_patient(mount: Mounter, tmp_path: Path) -> None:
    lost = image("1.2.3.99999", file="IMAGES/SECRET", path=None)
    secret = series("1.2.3.55555", [lost], description="SECRET", number="SECRET")
    of_study = study("1.2.77777", [secret], description="SECRET", date="SECRET")
    write_medium(tmp_path / "medium", [patient("SECRET^NAME", "SECRET-ID", [of_study])])
    shown = mount(tmp_path / "medium", "--verbose")

    (file,) = shown.files()
    with pytest.raises(FileNotFoundError):
        file.read_bytes()
    shown.unmount()

    assert shown.log_file.exists()
    for secret_text in ("SECRET", "99999", "55555", "77777"):
        assert secret_text not in shown.log


# -- the end ---------------------------------------------------------------------------


def _umount(mount: Mount) -> None:
    done = dicomfs("umount", mount.place)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _fusermount(mount: Mount) -> None:
    assert run(["fusermount3", "-u", str(mount.place)]).returncode == 0


def _lazily(mount: Mount) -> None:
    assert dicomfs("umount", "--lazy", mount.place).returncode == 0


def _umount_8(mount: Mount) -> None:
    need_root()
    assert run(["umount", str(mount.place)]).returncode == 0


def _signal(number: signal.Signals) -> Callable[[Mount], None]:
    return lambda mount: os.kill(mount.supervisor, number)


def _signal_worker(mount: Mount) -> None:
    os.kill(mount.worker, signal.SIGTERM)


def _control_c(mount: Mount) -> None:
    send(signal.SIGINT, *mount.processes)


def _twice(mount: Mount) -> None:
    pid = mount.supervisor
    send(signal.SIGTERM, pid)
    send(signal.SIGINT, pid)


ENDS: Final[dict[str, Callable[[Mount], None]]] = {
    "dicomfs umount": _umount,
    "dicomfs umount --lazy": _lazily,
    "fusermount3 -u": _fusermount,
    "umount": _umount_8,
    "SIGTERM": _signal(signal.SIGTERM),
    "SIGINT": _signal(signal.SIGINT),
    "SIGHUP": _signal(signal.SIGHUP),
    "SIGTERM to the worker": _signal_worker,
    "Ctrl-C to both": _control_c,
    "SIGTERM and SIGINT": _twice,
}


@pytest.mark.parametrize("how", ENDS)
def test_a_mount_in_the_background_is_ended_cleanly(
    mount: Mounter, medium: Path, how: str
) -> None:
    shown = mount(medium)
    shown.files()

    ENDS[how](shown)

    assert shown.has_ended(5)


@pytest.mark.parametrize("how", ENDS)
def test_a_mount_in_the_foreground_is_ended_cleanly(
    mount: Mounter, medium: Path, how: str
) -> None:
    shown = mount(medium, foreground=True)
    shown.files()

    ENDS[how](shown)

    assert shown.has_ended(5)
    assert shown.foreground is not None
    assert shown.foreground.wait(5) == 0


@pytest.fixture
def busy(mount: Mounter, medium: Path) -> Iterator[tuple[Mount, int]]:
    """Return a mount of which a file is open, and that file."""
    shown = mount(medium)
    opened = os.open(shown.files()[0], os.O_RDONLY)
    yield shown, opened
    with contextlib.suppress(OSError):  # of a mount that is gone
        os.close(opened)


def test_a_mount_in_use_is_not_unmounted(busy: tuple[Mount, int]) -> None:
    shown, opened = busy

    done = dicomfs("umount", shown.place)

    assert_fails(done, Exit.UNMOUNT_BUSY)
    assert "--lazy" in done.stderr
    assert is_mounted(shown.place)
    assert len(os.pread(opened, 300_000, 0)) == 300_000


def test_a_mount_in_use_can_be_taken_out_of_sight(mount: Mounter, medium: Path) -> None:
    shown = mount(medium)
    opened = os.open(shown.files()[0], os.O_RDONLY)
    try:
        done = dicomfs("umount", "-z", shown.place)
        still_read = len(os.pread(opened, 300_000, 0))
    finally:
        os.close(opened)

    assert (done.returncode, done.stderr) == (0, "")
    assert still_read == 300_000
    assert shown.has_ended(5)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name
)
def test_a_signal_ends_a_mount_in_use_within_seconds(
    busy: tuple[Mount, int], number: signal.Signals
) -> None:
    shown, _ = busy

    os.kill(shown.supervisor, number)

    assert shown.has_ended(5)


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS],
    ids=lambda number: number.name,
)
@pytest.mark.parametrize("looked_at", [False, True], ids=["at once", "later"])
def test_a_worker_that_dies_leaves_nothing_mounted(
    mount: Mounter, medium: Path, number: signal.Signals, looked_at: bool
) -> None:
    shown = mount(medium)
    shown.expect_log(rf"the worker .*\b{number.value}$")
    if looked_at:
        shown.files()

    os.kill(shown.worker, number)

    assert shown.has_ended(2)


def test_a_worker_that_dies_while_files_are_open_leaves_nothing_mounted(
    busy: tuple[Mount, int],
) -> None:
    shown, opened = busy
    shown.expect_log(r"the worker .*\b9$")

    os.kill(shown.worker, signal.SIGKILL)

    assert shown.has_ended(2)
    with pytest.raises(OSError, match=r"not connected|Software caused"):
        os.pread(opened, 10, 299_000)


def test_a_worker_that_dies_is_a_failure_in_the_foreground(
    mount: Mounter, medium: Path
) -> None:
    shown = mount(medium, foreground=True)
    shown.expect_log(r"the worker .*\b9$")

    os.kill(shown.worker, signal.SIGKILL)

    assert shown.has_ended(2)
    assert shown.foreground is not None
    assert shown.foreground.wait(5) == Exit.UNEXPECTED


def test_without_its_supervisor_a_mount_can_still_be_ended(
    mount: Mounter, medium: Path
) -> None:
    shown = mount(medium)
    mounting.kill(shown.supervisor)

    shown.expect_log("the watcher takes its place")
    assert len(shown.files()) == 1
    assert dicomfs("umount", shown.place).returncode == 0
    assert shown.has_ended(5)


def test_a_place_is_free_again_after_the_end(mount: Mounter, medium: Path) -> None:
    place = mount(medium).place
    for _ in range(3):
        assert dicomfs("umount", place).returncode == 0
        again = mount(medium, place=place)

        assert len(again.files()) == 1


def test_several_mounts_are_ended_at_once(mount: Mounter, medium: Path) -> None:
    first, second = mount(medium), mount(medium)

    done = dicomfs("umount", first.place, second.place)

    assert done.returncode == 0
    assert first.has_ended(5)
    assert second.has_ended(5)


@pytest.mark.parametrize("place", ["/proc", ".", "missing"])
def test_what_is_no_mount_of_dicomfs_is_not_unmounted(
    tmp_path: Path, place: str
) -> None:
    done = dicomfs("umount", tmp_path / place)

    assert_fails(done, Exit.NOT_MOUNTED)
    assert is_mounted(Path("/proc"))


def test_a_folder_of_a_mount_is_not_the_mount(mount: Mounter, medium: Path) -> None:
    shown = mount(medium)

    done = dicomfs("umount", shown.files()[0].parent)

    assert_fails(done, Exit.NOT_MOUNTED)


def test_somebody_else_cannot_end_a_mount(mount: Mounter, ordinary_user: User) -> None:
    need_root()
    medium = a_medium(ordinary_user.home / "medium")
    shown = mount(medium, "--allow-other", place=ordinary_user.home / "mnt")

    done = run(ordinary_user.dicomfs("umount", str(shown.place)))

    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 2
    assert is_mounted(shown.place)


# -- the demonstration -----------------------------------------------------------------


@pytest.fixture
def demo(mount: Mounter, tmp_path: Path, samples: Path) -> Mount:
    """Return where the demonstration will mount."""
    (tmp_path / "run").mkdir(mode=0o700)
    place = tmp_path / "run" / f"dicomfs-demo-{os.getuid()}"
    return mount.adopt(samples, place)


def run_demo(demo: Mount) -> Finished:
    runtime = {"XDG_RUNTIME_DIR": str(demo.place.parent)}
    return dicomfs("demo", mark=demo.mark, env=runtime)


def test_the_demonstration_mounts_and_shows_the_sample(demo: Mount) -> None:
    done = run_demo(demo)

    assert done.returncode == 0
    assert done.stdout.count(".dcm\n") == 31
    assert len(demo.files()) == 31
    assert demo.place.parent.joinpath(demo.place.name) == demo.place
    assert str(demo.place) in done.stderr
    assert "fusermount3 -u" in done.stderr


def test_the_demonstration_can_be_run_again(demo: Mount) -> None:
    first = run_demo(demo)
    processes = demo.processes

    second = run_demo(demo)

    assert (second.returncode, second.stdout) == (first.returncode, first.stdout)
    assert demo.processes == processes
    assert str(demo.place) in second.stderr


def test_the_demonstration_says_how_to_end_it_and_leaves_nothing(demo: Mount) -> None:
    done = run_demo(demo)
    command = re.search(r"fusermount3 -u .*$", done.stderr, re.MULTILINE)

    assert command is not None
    assert run(shlex.split(command[0])).returncode == 0
    assert demo.has_ended(5)
    assert not demo.place.exists()


@pytest.mark.alone
def test_the_demonstration_recovers_from_its_own_death(demo: Mount) -> None:
    run_demo(demo)
    killed(demo)

    done = run_demo(demo)

    assert (done.returncode, len(demo.files())) == (0, 31)


def test_the_demonstration_is_private(demo: Mount) -> None:
    run_demo(demo)

    assert demo.place.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("what", ["a file", "a link to nothing", "a link to a folder"])
def test_the_demonstration_uses_nothing_but_a_folder(demo: Mount, what: str) -> None:
    if what == "a file":
        demo.place.touch()
    else:
        demo.place.symlink_to("nothing" if what == "a link to nothing" else ".")

    assert_fails(run_demo(demo), Exit.MOUNTPOINT_NOT_FOLDER)


def test_a_demonstration_that_cannot_mount_leaves_nothing(demo: Mount) -> None:
    code = (
        "from pathlib import Path; from dicomfs.mount import attachment;"
        "attachment.FUSE_DEVICE = Path('/dev/nothing')"
    )
    runtime = {"XDG_RUNTIME_DIR": str(demo.place.parent)}

    done = run([*changed(code), "demo"], mark=demo.mark, env=runtime)

    assert done.returncode == Exit.NO_FUSE_DEVICE
    assert not demo.place.exists()


def test_the_demonstration_does_not_use_a_folder_of_somebody_else(demo: Mount) -> None:
    need_root()
    demo.place.mkdir()
    os.chown(demo.place, 65534, 65534)

    assert_fails(run_demo(demo), Exit.MOUNTPOINT_NOT_FOLDER)


# -- when others do not keep to the order of things ------------------------------------


Caller = Callable[..., Finished]


@pytest.fixture
def with_fusermount(tmp_path: Path) -> Callable[[str], Caller]:
    """Return what makes a dicomfs whose fusermount3 does something else first."""

    def made(before: str) -> Caller:
        real = shutil.which("fusermount3", path=tool_path())
        script = tmp_path / "bin/fusermount3"
        script.parent.mkdir()
        script.write_text(f'#!/bin/sh\n{before}\nexec {real} "$@"\n')
        script.chmod(0o755)
        # It takes that from nowhere but its own list.
        code = (
            "from dicomfs.mount import attachment;"
            # root would need none.
            "attachment._is_root = lambda: False;"
            f"attachment._PLACES = {str(script.parent)!r}"
        )
        return lambda *arguments: run([*changed(code), *map(str, arguments)])

    return made


WORKER = "worker=$(pgrep -P $PPID -x dicomfs-worker)"


@pytest.mark.parametrize("mode", [(), ("--foreground",)], ids=["background", "front"])
@pytest.mark.parametrize(
    "end", ["kill -9 $worker", "kill -STOP $worker; (sleep 1; kill -9 $worker) &"]
)
def test_a_worker_that_dies_before_it_gets_the_mount_is_told(
    tmp_path: Path,
    medium: Path,
    with_fusermount: Callable[[str], Caller],
    mode: tuple[str, ...],
    end: str,
) -> None:
    need("pgrep")
    place = tmp_path / "mnt"
    place.mkdir()
    dicomfs = with_fusermount(f"{WORKER}\n{end}\nsleep 0.3")

    done = dicomfs("mount", *mode, medium, place)

    assert_fails(done, Exit.WORKER_DIED)
    assert not is_mounted(place)


def test_a_signal_while_fusermount3_runs_leaves_nothing_mounted(
    tmp_path: Path, medium: Path, with_fusermount: Callable[[str], Caller]
) -> None:
    place = tmp_path / "mnt"
    place.mkdir()
    dicomfs = with_fusermount("kill -INT $PPID; sleep 1")

    dicomfs("mount", "--foreground", medium, place)

    assert not is_mounted(place)


@contextlib.contextmanager
def stopped(shown: Mount) -> Iterator[None]:
    """Let the worker of a mount answer nothing for a while."""
    worker = shown.worker
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        send(signal.SIGCONT, worker)  # whoever unmounts it ends it


@pytest.mark.parametrize("lazy", [(), ("--lazy",)], ids=["umount", "lazy"])
def test_a_mount_that_does_not_answer_can_be_ended(
    mount: Mounter, medium: Path, lazy: tuple[str, ...]
) -> None:
    shown = mount(medium)

    with stopped(shown):
        done = dicomfs("umount", *lazy, shown.place)

    assert done.returncode == 0, done.stderr
    assert not is_mounted(shown.place)


def test_a_second_mount_does_not_wait_for_one_that_does_not_answer(
    mount: Mounter, medium: Path
) -> None:
    shown = mount(medium)

    with stopped(shown):
        done = dicomfs("mount", medium, shown.place)

    assert_fails(done, Exit.MOUNTPOINT_IN_USE)


def test_one_mount_that_cannot_be_ended_does_not_keep_the_others(
    mount: Mounter, medium: Path, tmp_path: Path
) -> None:
    first, second = mount(medium), mount(medium)

    done = dicomfs("umount", first.place, tmp_path / "no mount", second.place)

    assert done.returncode == Exit.NOT_MOUNTED
    assert first.has_ended(5)
    assert second.has_ended(5)


def test_a_dicomdir_that_is_cut_off_is_mounted_and_said_to_be(
    mount: Mounter, medium: Path
) -> None:
    dicomdir = medium / "DICOMDIR"
    dicomdir.write_bytes(dicomdir.read_bytes()[:-40])

    shown = mount(medium)

    shown.expect_log("cut off")
    assert "the DICOMDIR is cut off; what is left of it is shown; --scan" in shown.said
