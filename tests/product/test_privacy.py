"""What patients are called stays on the medium and in the mount, and goes nowhere else.

Media of all kinds, sound and damaged, are full of words that nothing else has: in
names, IDs, UIDs, descriptions, types and File IDs, in records and in headers. They are
mounted, read, and failed at; then whatever is left behind is searched for them.
"""

import contextlib
import itertools
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.build.medium import (
    OMIT,
    Raw,
    Record,
    image,
    instance_bytes,
    patient,
    record,
    series,
    study,
    write_medium,
)
from tests.support import mounting
from tests.support.mounting import (
    COMMAND,
    Mount,
    Mounter,
    dicomfs,
    need,
    need_root,
    run,
    until,
)

pytestmark = pytest.mark.mount

# Nothing but the media has these words: text as QXZ001, UIDs below 1.2.90909.
SECRET: Final = re.compile(rb"QXZ\d+|90909\.\d+|19070913", re.IGNORECASE)
BIRTH_DATE: Final = "19070913"
SECRETS: Final = 50
UNMEASURED: Final = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def fuse() -> None:
    need("fusermount3", "/dev/fuse")


def word() -> str:
    """Return a word that nothing else has."""
    return f"QXZ{next(_numbers):03d}"


def uid() -> str:
    """Return a UID that nothing else has."""
    return f"1.2.90909.{next(_numbers)}"


# -- media that are full of secrets ----------------------------------------------------


def secret_image(number: int = 1, **more: object) -> Record:
    return image(uid(), number=number, **({"file": f"{word()}/{word()}"} | more))  # type: ignore[arg-type]


def secret_patient(
    images: Sequence[Record] = (), family: str = "", character_set: str = ""
) -> Record:
    """Return a patient with a study of two series, all of which is secret."""
    charset = {"SpecificCharacterSet": character_set or OMIT}
    described = series(
        uid(),
        [secret_image(1), *images],
        description=f"{family}{word()}",
        **charset,
    )
    # The description of the other one is in the headers of its images.
    undescribed = series(uid(), [secret_image(1)], header_description=word(), number=2)
    of_study = study(
        uid(),
        [described, undescribed],
        description=f"{family}{word()}",
        AccessionNumber=word(),
        **charset,
    )
    return patient(
        f"{family}{word()}^{word()}",
        word(),
        [of_study],
        PatientBirthDate=BIRTH_DATE,
        **charset,
    )


FAMILIES: Final = {
    "": "Doe",
    "ISO_IR 100": "Böttcher",
    "ISO_IR 144": "Жуков",
    "ISO_IR 192": "Ångström",
    "GB18030": "王小东",
    "\\ISO 2022 IR 87": "山田",
}


def sound(folder: Path) -> None:
    """Write patients in several character sets."""
    write_medium(
        folder,
        [
            secret_patient(family=family, character_set=character_set)
            for character_set, family in FAMILIES.items()
        ],
        top_level={"FileSetID": word()},
    )


def missing(folder: Path) -> None:
    """Write a medium where files are missing, empty, or no DICOM files."""
    lost = secret_image(2, path=None)
    empty = secret_image(3, content=b"")
    other = secret_image(4, content=word().encode() * 99)
    write_medium(folder, [secret_patient([lost, empty, other])])


def refused(folder: Path) -> None:
    """Write File IDs that lead out of the medium, or nowhere."""
    file_ids = [f"../../{word()}", f"/etc/{word()}", f"C:\\{word()}", f"{word()}\0/A"]
    images = [
        secret_image(number, file=file_id.encode(), path=None)
        for number, file_id in enumerate(file_ids, 2)
    ]
    write_medium(folder, [secret_patient(images)])
    (folder / "LINK").symlink_to(f"/etc/{word()}")


def undecodable(folder: Path) -> None:
    """Write character sets that are unknown, and text that is none."""
    unknown = secret_patient()
    unknown["SpecificCharacterSet"] = f"ISO_IR {word()}"
    wrong = secret_patient()
    wrong["SpecificCharacterSet"] = "ISO_IR 192"
    wrong["PatientName"] = b"\xff\xfe" + word().encode() + b"\xe4^\x1b$B\x80"
    strange = record(f"{word()} TYPE", file=word(), PatientName=word(), size=256)
    write_medium(folder, [unknown, wrong, strange])


def broken(folder: Path) -> None:
    """Write links that lead nowhere, into a record, back, and to a second parent."""
    nowhere, inside, back, twice = (secret_patient() for _ in range(4))
    nowhere.children[0].lower = 0x7FFFFF00
    inside.children[0].children[0].lower = 0x300
    back.children[0].children[0].next = back.children[0].children[0]
    twice.children[0].lower = nowhere.children[0].children[0]
    write_medium(folder, [nowhere, inside, back, twice], unlinked=[secret_image()])


def damaged(folder: Path) -> None:
    """Write records with wrong lengths and values."""
    long, short, odd = (secret_patient() for _ in range(3))
    long.children[0].length_error = 5000
    short.children[0].children[0].length_error = -20
    odd["PatientID"] = Raw("LO", word().encode(), 3)
    write_medium(folder, [secret_patient(), long, short, odd])


def cut_off(folder: Path) -> None:
    """Write a DICOMDIR whose last third is missing."""
    write_medium(folder, [secret_patient() for _ in range(3)])
    size = (folder / "DICOMDIR").stat().st_size
    os.truncate(folder / "DICOMDIR", size * 2 // 3)


def rootless(folder: Path) -> None:
    """Write a DICOMDIR that leads nowhere."""
    write_medium(folder, [secret_patient()], first=0x7FFFFF00, last=0x7FFFFF00)


MOUNTABLE: Final[dict[str, Callable[[Path], None]]] = {
    "sound": sound,
    "missing": missing,
    "refused": refused,
    "undecodable": undecodable,
    "broken": broken,
    "damaged": damaged,
    "cut off": cut_off,
    "without a root": rootless,
}


def encrypted(folder: Path) -> None:
    """Write a DICOMDIR that is something else."""
    folder.mkdir(parents=True)
    (folder / "DICOMDIR").write_bytes(word().encode() * 1000)
    (folder / word()).write_bytes(word().encode())


def an_instance(folder: Path) -> None:
    """Write an instance in place of the DICOMDIR."""
    folder.mkdir(parents=True)
    header = {"PatientName": word(), "PatientID": word(), "SOPInstanceUID": uid()}
    (folder / "DICOMDIR").write_bytes(instance_bytes(header))


def unindexed(folder: Path) -> None:
    """Write a medium without a DICOMDIR."""
    write_medium(folder, [secret_patient()])
    (folder / "DICOMDIR").unlink()


UNMOUNTABLE: Final[dict[str, Callable[[Path], None]]] = {
    "encrypted": encrypted,
    "an instance": an_instance,
    "without a DICOMDIR": unindexed,
}


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    """Return a medium with all of these in folders of its own."""
    medium = tmp_path / "medium"
    for name, write in (MOUNTABLE | {"encrypted": encrypted}).items():
        write(medium / name.replace(" ", ""))
    return medium


# -- a session, and what is left of it -------------------------------------------------


def use(place: Path) -> bytes:
    """Do with a mount whatever people do, fail where it fails; return what was seen."""
    seen = [b""]
    for folder, folders, names in os.walk(place):
        seen += map(os.fsencode, [*folders, *names])
        for path in (Path(folder, name) for name in names):
            path.stat()
            with contextlib.suppress(OSError):
                seen.append(os.getxattr(path, "user.dicomfs.error"))
            with contextlib.suppress(OSError):
                seen.append(path.read_bytes())
        with contextlib.suppress(OSError):
            Path(folder, word()).read_bytes()
        with contextlib.suppress(OSError):
            Path(folder, word()).mkdir()
    for report in ("report.txt", "report.json"):
        with contextlib.suppress(OSError):
            seen.append((place / ".dicomfs" / report).read_bytes())
    return b"\n".join(seen)


def secrets_in(data: bytes) -> list[bytes]:
    """Return the secrets that are in *data*, each once."""
    return sorted(set(SECRET.findall(data)))


# Memory itself, and what is only to be written to.
_NO_TEXT: Final = frozenset({"mem", "pagemap", "clear_refs"})


def proc_entries(pid: int) -> bytes:
    """Return all that /proc says about process *pid*, as root may read it."""
    proc = Path(f"/proc/{pid}")
    found = []
    for path in [*proc.iterdir(), *proc.glob("task/*/*"), *proc.glob("fdinfo/*")]:
        with contextlib.suppress(OSError):
            if path.is_file() and path.name not in _NO_TEXT:
                found.append(path.read_bytes())
    for link in [*proc.glob("fd/*"), proc / "cwd", proc / "exe", proc / "root"]:
        with contextlib.suppress(OSError):  # closed meanwhile
            found.append(os.fsencode(link.readlink()))
    return b"\n".join(found)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return an environment with folders of its own for all that programs keep.

    Afterwards they are as empty as before.
    """
    folders = {
        name: tmp_path / "home" / name
        for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
    }
    for folder in folders.values():
        folder.mkdir(parents=True)
    yield {name: str(folder) for name, folder in folders.items()}
    assert [list(folder.iterdir()) for folder in folders.values()] == [[], [], [], []]


def inventory(folder: Path) -> list[tuple[str, int, int]]:
    """Return all paths below *folder* with their sizes and times of change."""
    found = [(path, path.lstat()) for path in sorted(folder.rglob("*"))]
    return [(str(path), each.st_size, each.st_ctime_ns) for path, each in found]


# -- the tests -------------------------------------------------------------------------


def test_there_are_as_many_secrets_as_promised(everything: Path) -> None:
    found = [
        secrets_in(path.read_bytes()) + secrets_in(os.fsencode(path))
        for path in everything.rglob("*")
        if path.is_file()
    ]

    assert len(set(itertools.chain(*found))) >= SECRETS


def assert_private(
    mount: Mounter, medium: Path, home: dict[str, str], *options: str
) -> None:
    """Mount *medium* with *options* and use it: only the mount shows its secrets."""
    before = inventory(medium)
    shown = mount(medium, "--verbose", *options, env=home)

    seen = use(shown.place)
    told = [proc_entries(pid) for pid in shown.processes]
    told.append(Path("/proc/mounts").read_bytes())
    told.append(Path("/proc/self/mountinfo").read_bytes())
    shown.unmount()
    shown.allow_log("")

    assert len(secrets_in(seen)) > 3
    assert [secrets_in(each) for each in told] == [[]] * len(told)
    assert secrets_in(shown.log.encode()) == []
    assert secrets_in(shown.said.encode()) == []
    assert inventory(medium) == before


@pytest.mark.parametrize("kind", MOUNTABLE)
def test_no_log_and_no_proc_entry_names_a_patient(
    mount: Mounter, tmp_path: Path, home: dict[str, str], kind: str
) -> None:
    MOUNTABLE[kind](tmp_path / "medium")

    assert_private(mount, tmp_path / "medium", home)


def test_a_medium_that_was_scanned_names_no_patient_either(
    mount: Mounter, tmp_path: Path, home: dict[str, str]
) -> None:
    unindexed(tmp_path / "medium")

    assert_private(mount, tmp_path / "medium", home, "--scan")


@pytest.mark.parametrize("kind", UNMOUNTABLE)
@pytest.mark.parametrize("command", ["mount", "tree", "check"])
def test_a_failure_names_no_patient(
    tmp_path: Path, home: dict[str, str], kind: str, command: str
) -> None:
    UNMOUNTABLE[kind](tmp_path / "medium")
    (tmp_path / "mnt").mkdir()
    log = tmp_path / "log"
    more = ["--verbose", "--log-file", str(log)] if command == "mount" else []
    places = [tmp_path / "medium", tmp_path / "mnt"][: 2 if command == "mount" else 1]

    done = dicomfs(command, *more, *places, env=home)

    assert done.returncode != 0
    assert secrets_in(done.stderr.encode()) == []
    if command == "mount":
        assert secrets_in(log.read_bytes()) == []


def test_in_the_foreground_the_terminal_names_no_patient(
    mount: Mounter, everything: Path, tmp_path: Path, home: dict[str, str]
) -> None:
    shown = mount.adopt(everything, tmp_path / "mnt")
    command = [*COMMAND, "mount", "--foreground", "--verbose"]

    with in_front(shown, command, env=home) as said:
        seen = use(shown.place)
        shown.unmount()

    assert len(secrets_in(seen)) > SECRETS
    assert "WARNING" in said.read_text()
    assert secrets_in(said.read_bytes()) == []


@contextlib.contextmanager
def in_front(
    shown: Mount,
    command: Sequence[str],
    env: dict[str, str],
    before: Callable[[], object] = lambda: None,
) -> Iterator[Path]:
    """Mount *shown* in the foreground by *command*; yield the file with what it says."""
    shown.place.mkdir(exist_ok=True)
    said = shown.place.with_name("said")
    with said.open("w") as stream:
        shown.foreground = subprocess.Popen(
            [*command, str(shown.source), str(shown.place)],
            env=mounting.environment(shown.mark, env),
            cwd=shown.place.parent,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            preexec_fn=before,
            text=True,
        )
    assert until(lambda: b"mounted on" in said.read_bytes()), said.read_text()
    yield said


# -- errors that nobody foresaw --------------------------------------------------------

# Listing a folder of the medium fails, with a secret in what the error says.
UNFORESEEN: Final = """
import sys, threading

def fail(event, arguments):
    if event in ("os.listdir", "os.scandir") and isinstance(arguments[0], int) and {when}:
        raise RuntimeError("no room for QXZ000^Jane")

sys.addaudithook(fail)
"""
# Not in the main thread: the caller lists the mountpoint.
EARLY: Final = 'threading.current_thread().name in ("opening", "search")'
LATER: Final = (
    'threading.current_thread().name not in ("MainThread", "opening", "search")'
)


def faulty(folder: Path, when: str) -> dict[str, str]:
    """Return an environment in which dicomfs fails *when* it lists a folder."""
    (folder / "faulty").mkdir()
    code = UNFORESEEN.format(when=when)
    (folder / "faulty/sitecustomize.py").write_text(code)
    return {"PYTHONPATH": f"{folder / 'faulty'}{os.pathsep}{mounting.ROOT}"}


def test_an_unforeseen_error_names_no_patient(
    mount: Mounter, tmp_path: Path, home: dict[str, str]
) -> None:
    # Folders are listed where a file is not found by its name.
    missing(tmp_path / "medium")
    env = home | faulty(tmp_path, LATER)
    shown = mount(tmp_path / "medium", "--verbose", env=env)

    use(shown.place)
    shown.unmount()
    shown.allow_log("")

    assert "RuntimeError in sitecustomize.py" in shown.log
    assert secrets_in(shown.log.encode() + shown.said.encode()) == []


@pytest.mark.parametrize("mode", [(), ("--foreground",)], ids=["background", "front"])
def test_an_unforeseen_error_at_the_start_names_no_patient(
    tmp_path: Path, home: dict[str, str], mode: tuple[str, ...]
) -> None:
    sound(tmp_path / "medium")
    (tmp_path / "mnt").mkdir()
    env = home | faulty(tmp_path, EARLY)
    options = [*mode, "--verbose", "--log-file", str(tmp_path / "log")]

    done = dicomfs("mount", *options, tmp_path / "medium", tmp_path / "mnt", env=env)

    assert done.returncode != 0
    assert "RuntimeError in sitecustomize.py" in (tmp_path / "log").read_text()
    assert secrets_in((tmp_path / "log").read_bytes() + done.stderr.encode()) == []


# -- syslog ----------------------------------------------------------------------------

# A /dev in which a socket of ours is what the system's log would be.
OWN_DEV: Final = """
mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 &&
mknod -m 666 /dev/urandom c 1 9 && mknod -m 666 /dev/fuse c 10 229 &&
ln -s /proc/self/fd /dev/fd && ln -s "$1" /dev/log && shift && exec "$@"
"""
# What is mounted there is seen only there.
SESSION: Final = """
medium=$1 place=$2; shift 2
"$@" mount --verbose "$medium" "$place" && find "$place" -type f -exec cat {} + 2>/dev/null
getfattr -R -n user.dicomfs.error "$place" 2>/dev/null
find "$place"
"$@" umount "$place"
"""


@contextlib.contextmanager
def syslog(path: Path) -> Iterator[list[bytes]]:
    """Listen at *path* as a system's log does; what was said is complete at the end."""
    messages: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(path))

        def listen() -> None:
            while message := log.recv(65536):
                messages.append(message)

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            yield messages
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", str(path))
            listener.join()


# In another namespace mounts of other tests would go on.
@pytest.mark.alone
def test_syslog_names_no_patient(
    mount: Mounter, everything: Path, tmp_path: Path, public_folder: Path
) -> None:
    need_root()
    need("unshare", "mount", "mknod", "getfattr")
    shown = mount.adopt(everything, tmp_path / "mnt")
    shown.place.mkdir()
    path = public_folder / "log"
    own = ["unshare", "--mount", "sh", "-c", OWN_DEV, "sh", str(path)]
    session = ["sh", "-c", SESSION, "sh", str(everything), str(shown.place), *COMMAND]

    with syslog(path) as messages:
        done = run([*own, *session], mark=shown.mark)
        assert shown.has_ended()

    assert done.returncode == 0, done.stderr
    assert len(secrets_in(done.stdout.encode(errors="surrogateescape"))) > SECRETS
    assert any(b"WARNING" in message for message in messages)
    assert secrets_in(b"\n".join(messages)) == []
    assert secrets_in(done.stderr.encode()) == []


# -- names in logs, if they are wanted -------------------------------------------------


def test_names_are_in_the_log_if_they_are_asked_for_and_a_warning_says_so(
    mount: Mounter, tmp_path: Path
) -> None:
    missing(tmp_path / "medium")

    shown = mount(tmp_path / "medium", "--verbose", "--log-names")
    use(shown.place)
    shown.unmount()
    shown.allow_log("")

    assert secrets_in(shown.log.encode())
    assert re.search("names .* log|log .* names", shown.said)


# -- files -----------------------------------------------------------------------------

# All calls that make, change or remove a file. A "?" is for machines without the call.
CHANGING: Final = """
    open openat openat2 creat mkdir mkdirat mknod mknodat link linkat symlink symlinkat
    rename renameat renameat2 unlink unlinkat rmdir truncate ftruncate fallocate chmod
    fchmod fchmodat chown lchown fchown fchownat setxattr lsetxattr fsetxattr utime utimes
    utimensat memfd_create bind
"""
OPENING: Final = ("open(", "openat(", "openat2(")
WRITING: Final = re.compile("O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")
# What the mount itself takes: its device, its log, two settings of the kernel; what
# Python compiles while it is run for the first time; and the look of urllib3, which
# pydicom loads if it is installed, whether there is an address of IPv6.
HARMLESS: Final = re.compile(
    r'"/dev/(null|fuse)"|"/dev/fd/\d+"|"/sys/(class/bdi|fs/fuse/connections)/[^"]*"'
    r'|/__pycache__/|"[^"]*/log\d+"|bind\(.*sin6_port=htons\(0\).*"::1"'
)


def changes(trace: Path) -> list[str]:
    """Return the calls of a traced session that made, changed or removed a file."""
    lines = [
        line
        for path in trace.parent.glob(f"{trace.name}.*")
        for line in path.read_text(errors="replace").splitlines()
        if re.search(r"\) += \d", line)
    ]
    assert any('DICOMDIR"' in line for line in lines), "the worker was not traced"
    return [line for line in lines if _changes(line) and not HARMLESS.search(line)]


def _changes(line: str) -> bool:
    return not line.startswith(OPENING) or WRITING.search(line) is not None


def test_nothing_is_written_anywhere(
    mount: Mounter, everything: Path, tmp_path: Path, home: dict[str, str]
) -> None:
    need("strace")
    shown = mount.adopt(everything, tmp_path / "mnt")
    trace = tmp_path / "trace"
    calls = ",".join(f"?{call}" for call in CHANGING.split())
    strace = ["strace", "-ff", "-o", str(trace), "-s", "200", "-e", f"trace={calls}"]
    log = ["--log-file", str(shown.log_file)]
    command = [*strace, *COMMAND, "mount", "--foreground", "--verbose", *log]

    with in_front(shown, command, env=home | UNMEASURED):
        seen = use(shown.place)
        shown.unmount()
    shown.allow_log("")

    assert len(secrets_in(seen)) > SECRETS
    assert changes(trace) == []


# -- cores -----------------------------------------------------------------------------


@pytest.fixture
def cores(tmp_path: Path) -> Callable[[], list[Path]]:
    """Return what lists the cores in *tmp_path*, where a process leaves one."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    if pattern.startswith(("|", "/")):
        pytest.skip("cores go elsewhere on this machine")

    def found() -> list[Path]:
        return [path for path in tmp_path.iterdir() if path.name.startswith("core")]

    crash = [sys.executable, "-c", "import os; os.abort()"]
    subprocess.run(crash, cwd=tmp_path, preexec_fn=allow_cores, check=False)
    if not found():
        pytest.skip("there are no cores on this machine")
    for path in found():
        path.unlink()
    return found


def allow_cores() -> None:
    """Let this process leave a core of any size."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def crashed(mount: Mounter, everything: Path, folder: Path, who: str) -> Mount:
    """Return a mount that was used until *who* of its processes crashed in *folder*."""
    shown = mount.adopt(everything, folder / "mnt")
    command = [*COMMAND, "mount", "--foreground", "--log-file", str(shown.log_file)]
    with in_front(shown, command, UNMEASURED, before=allow_cores):
        use(shown.place)
        pid = getattr(shown, who)
        # A worker has let go of that, and would leave its core there.
        here = folder if who == "supervisor" else Path("/")
        assert Path(f"/proc/{pid}/cwd").readlink() == here
        os.kill(pid, signal.SIGSEGV)
        assert until(lambda: pid not in shown.processes)
        shown.unmount()
    shown.allow_log("")
    return shown


def test_a_worker_that_crashes_leaves_no_core(
    mount: Mounter, everything: Path, tmp_path: Path, cores: Callable[[], list[Path]]
) -> None:
    before = set(Path("/").iterdir())

    crashed(mount, everything, tmp_path, "worker")

    assert cores() == []
    assert set(Path("/").iterdir()) <= before


def test_a_supervisor_that_crashes_leaves_no_core(
    mount: Mounter, everything: Path, tmp_path: Path, cores: Callable[[], list[Path]]
) -> None:
    crashed(mount, everything, tmp_path, "supervisor")

    assert cores() == []
