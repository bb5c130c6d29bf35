"""What the worker can still do in its sandbox, and what it cannot."""

import ctypes
import errno
import fcntl
import logging
import mmap
import os
import pty
import resource
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

import pytest

from dicomfs.media import beneath
from dicomfs.sandbox import confine as sandbox
from dicomfs.sandbox.confine import Rights
from dicomfs.sandbox.voice import Voice
from tests.build.medium import image, patient, series, study, write_medium
from tests.support.mounting import (
    COMMAND,
    ROOT,
    Mount,
    Mounter,
    User,
    need,
    need_root,
    run,
)

pytestmark = [
    pytest.mark.mount,
    # Of the child only the thread that forked goes on, and that is all it needs.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

REFUSED: Final = {"EPERM", "EACCES", "EFBIG"}
GIBIBYTE: Final = 1024**3
DAC_READ_SEARCH: Final = 1 << 2

_libc = ctypes.CDLL(None, use_errno=True)


def call(function: Callable[..., int], *arguments: object) -> int:
    """Call a function of C; raises OSError."""
    result = function(*arguments)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def system_call(x86_64: int, aarch64: int, *arguments: object) -> int:
    """Make a system call by its number; raises OSError."""
    number = {"x86_64": x86_64, "aarch64": aarch64}[os.uname().machine]
    return call(_libc.syscall, number, *arguments)


# -- the stage -------------------------------------------------------------------------


class Held:
    """What a process has at hand before it enters the sandbox."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.medium = os.open(folder / "medium", os.O_RDONLY | os.O_DIRECTORY)
        self.log = os.open(folder / "log", os.O_RDWR)
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.terminal, _ = pty.openpty()
        self.pipe = os.pipe()
        self.parent = os.getppid()

    @property
    def outside(self) -> Path:
        """A folder of the same user's, beside the medium."""
        return self.folder / "outside"


Action = Callable[[Held], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a medium, with something beside it, and with a log."""
    for name in ("medium", "outside"):
        (tmp_path / name / "BELOW").mkdir(parents=True)
        (tmp_path / name / "BELOW" / "FILE").write_bytes(b"123456789" * 1000)
    (tmp_path / "medium" / "LINK").symlink_to(tmp_path / "outside/BELOW/FILE")
    (tmp_path / "log").touch()
    return tmp_path


def told_by_child(folder: Path, action: Action, prepare: Callable[[Held], None]) -> str:
    """Return what *action* returned, or the name of its error, in a process of its own.

    *prepare* is what that process does to itself before.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _tell(writer, folder, action, prepare)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    return said or f"ended with {os.waitstatus_to_exitcode(status)}"


def _tell(
    writer: int, folder: Path, action: Action, prepare: Callable[[Held], None]
) -> NoReturn:
    try:
        held = Held(folder)
        prepare(held)
        try:
            said = str(action(held))
        except OSError as error:
            said = errno.errorcode[error.errno or 0]
        except Exception:  # noqa: BLE001 - a child must not run its parent's code
            said = traceback.format_exc()
        os.write(writer, said.encode())
    finally:
        os._exit(0)


def rights(held: Held) -> Rights:
    """Return the rights of a worker."""
    return Rights([held.medium], of_others=True)


def in_the_sandbox(folder: Path, action: Action) -> str:
    """Return what comes of *action* in the sandbox of a worker."""

    def prepare(held: Held) -> None:
        lacking = sandbox.restrict(rights(held))
        if lacking:
            raise AssertionError(lacking)

    return told_by_child(folder, action, prepare)


def at_large(folder: Path, action: Action) -> str:
    """Return what comes of *action* without the sandbox."""
    return told_by_child(folder, action, lambda _: None)


# -- what is forbidden -----------------------------------------------------------------


def _open_for_writing_by_openat2(held: Held) -> None:
    how = struct.pack("=3Q", os.O_WRONLY, 0, 0)
    system_call(437, 437, held.medium, b"BELOW/FILE", how, len(how))


def _create_by_openat2(held: Held) -> None:
    how = struct.pack("=3Q", os.O_WRONLY | os.O_CREAT, 0o600, 0)
    system_call(437, 437, held.medium, b"NEW", how, len(how))


def _open_by_handle(held: Held) -> None:
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    path = os.fsencode(held.outside / "BELOW/FILE")
    call(_libc.name_to_handle_at, -100, path, handle, ctypes.byref(mount), 0)
    call(_libc.open_by_handle_at, held.medium, handle, os.O_RDONLY)


def _read_the_memory_of_another(held: Held) -> None:
    with open(f"/proc/{held.parent}/mem", "rb"):  # noqa: PTH123 - as an intruder would
        pass


def _copy_the_memory_of_another(held: Held) -> None:
    here = ctypes.create_string_buffer(8)
    span = struct.pack("@PN", ctypes.addressof(here), 8)
    # The parent has the same at the same place: this is its copy.
    call(_libc.process_vm_readv, held.parent, span, 1, span, 1, 0)


def _name_a_socket(_: Held) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(b"\0dicomfs test %d" % os.getpid())


def _send_to_an_address(held: Held) -> None:
    with socket.socket(fileno=os.dup(held.ours.fileno())) as made:
        # Nobody listens there, so at large it says that.
        made.sendto(b"x", b"\0dicomfs test of nobody")


def _start_a_program(_: Held) -> None:
    os.execv("/bin/true", ["true"])


def _spawn_a_program(_: Held) -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


def _fork(_: Held) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _map_code(_: Held) -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()


def _type_into_the_terminal(held: Held) -> None:
    os.setsid()
    fcntl.ioctl(held.terminal, termios.TIOCSTI, b"x")


def _receive_signals_of_others(held: Held) -> None:
    fcntl.fcntl(held.ours, fcntl.F_SETOWN, held.parent)


def _get_rights_back(_: Held) -> None:
    every = 0xFFFFFFFF
    header = struct.pack("=Ii", 0x20080522, 0)
    wanted = (DAC_READ_SEARCH | 1 << 1) & every  # and CAP_DAC_OVERRIDE
    call(_libc.capset, header, struct.pack("=6I", wanted, wanted, 0, 0, 0, 0))


def _be_dumpable_again(_: Held) -> None:
    call(_libc.prctl, 4, 1, 0, 0, 0)  # PR_SET_DUMPABLE


def _pidfd_signal(held: Held) -> None:
    signal.pidfd_send_signal(os.pidfd_open(held.parent), 0)


FORBIDDEN: Final[dict[str, Action]] = {
    # files
    "read beside the medium": lambda held: (held.outside / "BELOW/FILE").read_bytes(),
    "read by ..": lambda held: os.open(
        "../outside/BELOW/FILE", os.O_RDONLY, dir_fd=held.medium
    ),
    "follow a link out": lambda held: os.open("LINK", os.O_RDONLY, dir_fd=held.medium),
    "read a file of the system": lambda _: Path("/etc/passwd").read_bytes(),
    "list a folder": lambda held: os.listdir(held.outside),  # noqa: PTH208
    "list the root": lambda _: os.listdir("/"),  # noqa: PTH208
    "list its own descriptors": lambda _: os.listdir("/proc/self/fd"),  # noqa: PTH208
    "read what others were called with": lambda held: Path(
        f"/proc/{held.parent}/cmdline"
    ).read_bytes(),
    "open by a handle": _open_by_handle,
    "open a device": lambda _: os.open("/dev/null", os.O_RDONLY),
    "write a file": lambda held: (held.outside / "NEW").write_bytes(b"x"),
    "write on the medium": lambda held: os.open(
        "BELOW/FILE", os.O_WRONLY, dir_fd=held.medium
    ),
    "write on the medium by openat2": _open_for_writing_by_openat2,
    "create on the medium": lambda held: os.open(
        "NEW", os.O_WRONLY | os.O_CREAT, dir_fd=held.medium
    ),
    "create on the medium by openat2": _create_by_openat2,
    "empty a file": lambda held: os.truncate(held.outside / "BELOW/FILE", 0),
    "empty the log": lambda held: os.ftruncate(held.log, 0),
    "let the log grow": lambda held: os.write(held.log, b"x"),
    "delete": lambda held: os.unlink("BELOW/FILE", dir_fd=held.medium),
    "rename": lambda held: os.rename(
        "BELOW", "NEW", src_dir_fd=held.medium, dst_dir_fd=held.medium
    ),
    "make a folder": lambda held: os.mkdir("NEW", dir_fd=held.medium),
    "make a link": lambda held: os.link(
        "BELOW/FILE", "NEW", src_dir_fd=held.medium, dst_dir_fd=held.medium
    ),
    "make a symbolic link": lambda held: os.symlink("/", "NEW", dir_fd=held.medium),
    "make a FIFO": lambda held: os.mkfifo("NEW", dir_fd=held.medium),
    "change a mode": lambda held: os.chmod(held.outside, 0o777),  # noqa: PTH101
    "change the mode of the log": lambda held: os.fchmod(held.log, 0o777),
    "change an owner": lambda held: os.chown(held.outside, 0, 0),
    "change a time": lambda held: os.utime(held.outside),
    "change an attribute": lambda held: os.setxattr(held.outside, "user.x", b"x"),
    "make a file in memory": lambda _: os.memfd_create("x"),
    # processes
    "start a program": _start_a_program,
    "spawn a program": _spawn_a_program,
    "fork": _fork,
    "signal another process": lambda held: os.kill(held.parent, 0),
    "signal by a pidfd": _pidfd_signal,
    "have others signalled": _receive_signals_of_others,
    "be traced": lambda _: call(_libc.ptrace, 0, 0, 0, 0),
    "read another's memory": _read_the_memory_of_another,
    "copy another's memory": _copy_the_memory_of_another,
    "map code": _map_code,
    "type into the terminal": _type_into_the_terminal,
    # the network
    "make a socket": lambda _: socket.socket(socket.AF_INET).close(),
    "name a socket": _name_a_socket,
    "send to an address": _send_to_an_address,
    # rights
    "set a limit": lambda _: call(_libc.setrlimit, resource.RLIMIT_CORE, bytes(16)),
    "get rights back": _get_rights_back,
    "be dumpable again": _be_dumpable_again,
    "be somebody else": lambda _: os.setuid(1),
    "change its root": lambda held: os.chroot(held.outside),
    "have its own mounts": lambda _: call(_libc.unshare, 0x00020000),
    "enter other mounts": lambda held: call(_libc.setns, held.log, 0),
    "mount": lambda _: call(_libc.mount, b"none", b"/", b"nosuch", 0, None),
    "unmount": lambda _: call(_libc.umount2, b"/nosuch", 0),
    # the kernel
    "load a program for the kernel": lambda _: system_call(321, 280, 0, None, 0),
    "catch page faults": lambda _: system_call(323, 282, 1),
    "keep a key": lambda _: system_call(250, 219, 0, -3, 0),
    "restart": lambda _: call(_libc.reboot, 0x7E57),
    "swap": lambda _: call(_libc.swapoff, b"/nosuch"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_in_the_sandbox_it_is_refused_to(folder: Path, what: str) -> None:
    assert in_the_sandbox(folder, FORBIDDEN[what]) in REFUSED


@pytest.mark.parametrize("what", FORBIDDEN)
def test_without_the_sandbox_nothing_refuses_to(folder: Path, what: str) -> None:
    need_root()

    assert at_large(folder, FORBIDDEN[what]) not in {*REFUSED, "ENOSYS"}


def test_what_was_refused_has_changed_nothing(folder: Path) -> None:
    before = sorted(folder.rglob("*"))

    for action in FORBIDDEN.values():
        in_the_sandbox(folder, action)

    assert sorted(folder.rglob("*")) == before
    assert (folder / "outside/BELOW/FILE").stat().st_size == 9000


def test_threads_are_in_the_sandbox_too(folder: Path) -> None:
    def read_in_a_thread(_: Held) -> str:
        said = []

        def read() -> None:
            try:
                said.append(Path("/etc/passwd").read_text())
            except PermissionError:
                said.append("refused")

        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        return said[0]

    assert in_the_sandbox(folder, read_in_a_thread) == "refused"


def test_memory_is_limited(folder: Path) -> None:
    def take(size: int) -> Action:
        def taken(_: Held) -> str:
            try:
                with mmap.mmap(-1, size):
                    return "taken"
            except OSError as error:
                return errno.errorcode[error.errno or 0]

        return taken

    # The fork has the memory of all tests before it.
    assert in_the_sandbox(folder, take(GIBIBYTE // 4)) == "taken"
    assert in_the_sandbox(folder, take(2 * GIBIBYTE)) == "ENOMEM"
    assert at_large(folder, take(2 * GIBIBYTE)) == "taken"


def test_a_limit_that_is_lower_already_is_kept(folder: Path) -> None:
    def enter(held: Held) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (GIBIBYTE, GIBIBYTE))
        sandbox.restrict(rights(held))

    limit = told_by_child(
        folder, lambda _: resource.getrlimit(resource.RLIMIT_AS), enter
    )

    assert limit == str((GIBIBYTE, GIBIBYTE))


# -- what is allowed -------------------------------------------------------------------


def _read(held: Held) -> object:
    fd = beneath.open_file(held.medium, (b"BELOW", b"FILE"))
    return os.pread(fd, 9, 9), len(os.pread(fd, 10_000, 0)), os.fstat(fd).st_size


def _walk(held: Held) -> object:
    fd = beneath._walk(held.medium, (b"BELOW", b"FILE"), os.O_RDONLY | os.O_NONBLOCK)
    return os.pread(fd, 9, 0)


def _list(held: Held) -> object:
    below = beneath.open_folder(held.medium, ())
    return sorted(os.listdir(below)), beneath.status(held.medium, (b"BELOW",)).st_nlink  # noqa: PTH208


def _room(held: Held) -> object:
    return os.statvfs(held.medium).f_frsize > 0


def _time(_: Held) -> object:
    time.sleep(0.001)
    return time.localtime(0).tm_year, len(os.urandom(8))


def _speak(held: Held) -> object:
    voice = Voice(held.pipe[1], waits=True)
    voice.take_over()
    logging.getLogger().error("a line")
    return len(os.read(held.pipe[0], 100)) > len("a line")


def _talk(held: Held) -> object:
    held.ours.send(b"ready")
    one, other = socket.socketpair()
    one.send(b"awake")
    return held.theirs.recv(9), other.recv(9)


def _signal_itself(_: Held) -> object:
    caught: list[int] = []
    signal.signal(signal.SIGUSR1, lambda *_: caught.append(1))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    return len(caught)


def _dup(held: Held) -> object:
    os.dup2(held.log, 0)
    return os.fstat(0).st_ino == os.fstat(held.log).st_ino


ALLOWED: Final[dict[str, tuple[Action, object]]] = {
    "read the medium": (_read, (b"123456789", 9000, 9000)),
    "walk on the medium": (_walk, b"123456789"),
    "list the medium": (_list, (["BELOW", "LINK"], 2)),
    "measure the medium": (_room, True),
    "know the time": (_time, (1970, 8)),
    "speak": (_speak, True),
    "talk to whom it knows": (_talk, (b"ready", b"awake")),
    "signal itself": (_signal_itself, 2),
    "close its streams": (_dup, True),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_in_the_sandbox_it_is_possible_to(
    folder: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    action, expected = ALLOWED[what]

    assert in_the_sandbox(folder, action) == str(expected)


# In a program of its own: a fork would have the memory of all tests before it.
MANY_THREADS: Final = """
import mmap, os, sys, threading
from dicomfs.sandbox import confine as sandbox

sandbox.restrict(sandbox.Rights([os.open(sys.argv[1], os.O_RDONLY)]))
everybody = threading.Barrier(201)

def work():
    # So little comes from malloc, which would set memory aside for each thread.
    taken = bytes(50_000)
    everybody.wait(20)
    del taken

for number in range(200):
    threading.Thread(target=work, name=str(number), daemon=True).start()
# They take a small part of the memory.
mmap.mmap(-1, 1024**3).close()
everybody.wait(20)
print("all there", flush=True)
"""


def test_in_the_sandbox_it_is_possible_to_start_two_hundred_threads(
    folder: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY_THREADS, str(folder / "medium")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert done.stdout == "all there\n", done.stderr


# -- a mount ---------------------------------------------------------------------------


def a_medium(root: Path) -> Path:
    write_medium(
        root,
        [
            patient(
                "Doe^Jane",
                "1",
                [study("1.2", [series("1", [image(f"1.2.3.{n}") for n in range(9)])])],
            )
        ],
    )
    return root


def statuses(pid: int) -> list[dict[str, str]]:
    """Return what the kernel says of each thread of a process."""
    return [
        dict(line.split(":\t", 1) for line in file.read_text().splitlines())
        for file in Path(f"/proc/{pid}/task").glob("*/status")
    ]


def limit(pid: int, name: str) -> list[str]:
    """Return a limit of a process, soft and hard."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith(name):
            return line.removeprefix(name).split()[:2]
    raise AssertionError(name)


@pytest.mark.parametrize("mode", [(), ("--foreground",)], ids=["background", "front"])
@pytest.mark.parametrize("who", ["root", "an ordinary user"])
def test_the_worker_of_a_mount_has_given_up_its_rights(
    mount: Mounter, ordinary_user: User, who: str, mode: tuple[str, ...]
) -> None:
    is_root = who == "root"
    if is_root:
        need_root()
    user = None if is_root else ordinary_user
    medium = ordinary_user.owns(a_medium(ordinary_user.home / "medium"))
    shown = mount(medium, user=user, foreground=bool(mode))
    everything = [
        "find",
        str(shown.place),
        "-type",
        "f",
        "-exec",
        "sha256sum",
        "{}",
        "+",
    ]
    command = user.command(everything) if user else everything
    assert len(run(command).stdout.splitlines()) == 9

    worker = shown.worker
    threads = statuses(worker)

    assert len(threads) > 1
    for thread in threads:
        assert (thread["NoNewPrivs"], thread["Seccomp"]) == ("1", "2")
        kept = DAC_READ_SEARCH if is_root else 0
        rights = {int(thread[name], 16) for name in ("CapEff", "CapPrm")}
        assert rights == {kept}
        assert {int(thread[name], 16) for name in ("CapInh", "CapAmb")} == {0}
        assert int(thread["CapBnd"], 16) == 0 or not is_root
    assert limit(worker, "Max core file size") == ["0", "0"]
    assert limit(worker, "Max address space") == [str(2 * GIBIBYTE)] * 2


def test_the_worker_of_a_mount_cannot_be_looked_into(
    mount: Mounter, ordinary_user: User
) -> None:
    need_root()
    medium = ordinary_user.owns(a_medium(ordinary_user.home / "medium"))
    shown = mount(medium, user=ordinary_user)

    # What cannot be dumped belongs to root, whoever runs it (proc(5)).
    owners = [Path(f"/proc/{pid}/maps").stat().st_uid for pid in shown.processes]

    assert set(owners) == {0}
    looked = run(ordinary_user.command(["cat", f"/proc/{shown.worker}/environ"]))
    assert "Permission denied" in looked.stderr


def read_all(shown: Mount) -> dict[str, bytes]:
    """Return all files of a mount, by their path."""
    files = shown.files()
    return {str(file.relative_to(shown.place)): file.read_bytes() for file in files}


def test_root_reads_what_is_for_its_owner_alone(
    mount: Mounter, ordinary_user: User
) -> None:
    need_root()
    medium = ordinary_user.owns(a_medium(ordinary_user.home / "medium"))
    for each in [medium, *medium.rglob("*")]:
        each.chmod(0o500 if each.is_dir() else 0o400)

    assert len(read_all(mount(medium))) == 9


# A letter in each character set that is loaded when it is first used.
LETTERS: Final = {
    "ISO_IR 100": (b"\xe9", "é"),
    "ISO_IR 101": (b"\xb3", "ł"),
    "ISO_IR 109": (b"\xe6", "ĉ"),
    "ISO_IR 110": (b"\xe0", "ā"),
    "ISO_IR 144": (b"\xb6", "Ж"),
    "ISO_IR 127": (b"\xd9", "ع"),
    "ISO_IR 126": (b"\xd9", "Ω"),
    "ISO_IR 138": (b"\xe0", "א"),
    "ISO_IR 148": (b"\xf0", "ğ"),
    "ISO_IR 203": (b"\xa4", "€"),
    "ISO_IR 13": (b"\xd4", "ﾔ"),
    "ISO_IR 166": (b"\xa1", "ก"),
    "ISO_IR 192": ("✓".encode(), "✓"),
    "GB18030": (b"\x95\x32\x82\x36", "𠀀"),
    "GBK": (b"\x81\x40", "丂"),
    "\\ISO 2022 IR 87": (b"\x1b$B;3\x1b(B", "山"),
    "\\ISO 2022 IR 159": (b"\x1b$(D0!\x1b(B", "丂"),
    "\\ISO 2022 IR 149": (b"\x1b$)C\xc8\xab", "홍"),
    "\\ISO 2022 IR 58": (b"\x1b$)A\xcd\xf5", "王"),
}


def test_all_character_sets_are_at_hand(mount: Mounter, tmp_path: Path) -> None:
    people = [
        patient(b"Name" + letter, f"{number:02}", SpecificCharacterSet=character_set)
        for number, (character_set, (letter, _)) in enumerate(LETTERS.items())
    ]
    write_medium(tmp_path / "medium", people)

    names = {path.name for path in mount(tmp_path / "medium").place.iterdir()}

    assert names == {
        f"Name{letter} ({number:02})"
        for number, (_, letter) in enumerate(LETTERS.values())
    }


def test_the_time_zone_is_at_hand(mount: Mounter, tmp_path: Path) -> None:
    medium = a_medium(tmp_path / "medium")

    shown = mount(medium, env={"TZ": "Asia/Tokyo"})

    (of_study,) = next(shown.place.iterdir()).iterdir()
    # 2023-07-05 12:00 there is 03:00 UTC.
    assert of_study.stat().st_mtime == 1_688_526_000


@pytest.mark.parametrize("what", ["tmpfs", "bindfs"])
def test_a_medium_on_any_file_system_is_read(
    mount: Mounter, tmp_path: Path, what: str
) -> None:
    need_root()
    need("mount", "umount", "bindfs")
    disc, copy = tmp_path / "disc", tmp_path / "copy"
    disc.mkdir()
    a_medium(copy)
    command = {
        "tmpfs": ["mount", "-t", "tmpfs", "none"],
        "bindfs": ["bindfs", "-r", str(copy)],
    }[what]
    assert run([*command, str(disc)]).returncode == 0
    try:
        if what == "tmpfs":
            a_medium(disc)
        shown = mount(disc)
        assert len(shown.files()) == 9
        if what != "bindfs":  # its own process would end
            # The medium is gone from where it was; who holds it can still read it.
            run(["umount", "--lazy", str(disc)])
        assert len(read_all(shown)) == 9
        shown.unmount()
    finally:
        run(["umount", "--lazy", str(disc)])


# -- a kernel that lacks something -----------------------------------------------------

LANDLOCK: Final = (444, 445, 446)
SECCOMP: Final = (277 if os.uname().machine == "aarch64" else 317,)
NOT_THERE: Final = {
    "Landlock": LANDLOCK,
    "seccomp": SECCOMP,
    "Landlock and seccomp": LANDLOCK + SECCOMP,
}

# Installs a filter by which some system calls do not exist, and becomes a command.
WITHOUT: Final = """
import ctypes, os, struct, sys
numbers = [int(each) for each in sys.argv[1].split(",")]
steps = [(0x20, 0, 0, 0)]
for number in numbers:
    steps += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | 38)]
steps.append((0x06, 0, 0, 0x7FFF0000))
program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *s) for s in steps))
libc = ctypes.CDLL(None, use_errno=True)
filter_ = struct.pack("@HP", len(steps), ctypes.addressof(program))
if libc.prctl(22, 2, filter_, 0, 0):
    raise OSError(ctypes.get_errno(), "no filter")
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("what", NOT_THERE)
def test_what_the_kernel_lacks_is_said_and_the_mount_goes_on(
    mount: Mounter, tmp_path: Path, what: str
) -> None:
    need_root()
    medium = a_medium(tmp_path / "medium")
    (tmp_path / "mnt").mkdir()
    shown = mount.adopt(medium, tmp_path / "mnt")
    numbers = ",".join(map(str, NOT_THERE[what]))
    options = ["--log-file", str(shown.log_file)]

    done = run(
        [
            *[sys.executable, "-c", WITHOUT, numbers],
            *[*COMMAND, "mount", *options, str(medium), str(shown.place)],
        ],
        mark=shown.mark,
    )

    assert done.returncode == 0, done.stderr
    for lacking in what.split(" and "):
        said = f"the sandbox lacks {lacking}: Function not implemented"
        assert f"dicomfs: {said}" in done.stderr.splitlines()
        shown.expect_log(said)
    assert len(read_all(shown)) == 9
    (status, *_) = statuses(shown.worker)
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == DAC_READ_SEARCH


def test_a_processor_without_a_filter_is_said_to_be_one(folder: Path) -> None:
    def restrict(held: Held) -> object:
        call(_libc.personality, 0x0008)  # PER_LINUX32: uname names an older one
        return sandbox.restrict(rights(held)), os.uname().machine

    said = at_large(folder, restrict)

    assert "['seccomp: not made for this processor (" in said
    assert not any(known in said for known in ("x86_64", "aarch64"))
