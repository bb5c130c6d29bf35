"""The table of rights in docs/security.md, held against the processes themselves.

Each of them is asked, and so is the kernel: whoever changes what a process may do has to
change the table, and nobody can write into it what is not so.
"""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from dicomfs.copying import writing
from dicomfs.fileset import aside
from dicomfs.pictures.thumbnail import NAME
from tests.build.archives import files_in, zipped
from tests.product.test_manual import DOCS, rows_of, section
from tests.sandbox.test_sandbox import (
    REFUSED,
    a_medium,
    in_the_sandbox,
    limit,
    statuses,
)
from tests.support.inside import PROBED, READERS, WAITS, WRITTEN
from tests.support.mounting import (
    PATIENCE,
    ROOT,
    Mounter,
    environment,
    kill,
    marked,
    name_of,
    need_packages,
    need_pictures,
    need_root,
    new_mark,
    until,
)
from tests.support.servers import web_server

pytestmark = [
    pytest.mark.mount,
    pytest.mark.slow,
    # Of the child only the thread that forked goes on, and that is all it needs.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

_GIBIBYTE: Final = 1024**3
_SECRET: Final = "AWS_SECRET_ACCESS_KEY"
_CAPABILITIES: Final = {
    1 << 1: "`DAC_OVERRIDE`",
    1 << 2: "`DAC_READ_SEARCH`",
    0: "none",
}

# Who works beside the process that reads a medium, as they are called.
_BESIDE: Final = {aside.NAME: "reader", writing.NAME: "writer"}

Rights = dict[str, str]


class Stage(NamedTuple):
    """What is there for the taking: a file, which the caller has open, and a server."""

    folder: Path
    secret: Path
    port: int
    held: int

    @property
    def destination(self) -> Path:
        """A folder that a copy is for."""
        return self.folder / "destination"

    def command(self, *arguments: str | Path) -> list[str]:
        """Return dicomfs with *arguments*, and with an intruder in it."""
        inside = [sys.executable, "-P", "-m", "tests.support.inside"]
        return [*inside, str(self.secret), str(self.port), *map(str, arguments)]

    def start(self, mark: str, *arguments: str | Path) -> "subprocess.Popen[bytes]":
        """Start it, with a descriptor and a variable that are the caller's own."""
        return subprocess.Popen(
            self.command(*arguments),
            env=environment(mark, {_SECRET: "s3cr3t"}),
            pass_fds=[self.held],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_may_dump,
        )


def _may_dump() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (_GIBIBYTE, _GIBIBYTE))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    held = os.open(secret, os.O_RDWR)
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            yield Stage(tmp_path, secret, server.getsockname()[1], held)
    finally:
        os.close(held)


# -- what a process has ----------------------------------------------------------------


def rights_of(pid: int, stage: Stage, medium: Path) -> Rights:
    """Return what the kernel says of a process, and what that comes to when it tries."""
    read, wrote, spoke, started = _tried(pid, stage)
    threads = statuses(pid)
    assert len({_capabilities(thread) for thread in threads}) == 1
    assert len({(thread["NoNewPrivs"], thread["Seccomp"]) for thread in threads}) == 1
    status = threads[0]
    links = _links(pid)
    environ = Path(f"/proc/{pid}/environ").read_bytes()
    return {
        "capabilities of root": _capabilities(status),
        "may get new rights": _yes(status["NoNewPrivs"] == "0"),
        "system calls": {"0": "all", "2": "some"}[status["Seccomp"]],
        "opens any file": read,
        "writes files": wrote,
        "talks to other machines": spoke,
        "starts programs": started,
        "dumps core": _yes(limit(pid, "Max core file size")[0] != "0"),
        "address space": _size(limit(pid, "Max address space")[1]),
        "processor time": _time(limit(pid, "Max cpu time")[0]),
        "writes into files that are open": _yes(limit(pid, "Max file size")[1] != "0"),
        "keeps what its caller had open": _yes(str(stage.secret) in links),
        "keeps the caller's variables": _yes(b"s3cr3t" in environ),
        "holds": ", ".join(sorted({*_kinds(links, stage, medium)})) or "nothing",
    }


def _tried(pid: int, stage: Stage) -> list[str]:
    """Return of each thing that is tried whether the process did it."""
    comm = Path(f"/proc/{pid}/comm")
    os.kill(pid, signal.SIGUSR2)
    assert until(lambda: comm.read_text().startswith(PROBED))
    written = stage.secret.with_name(stage.secret.name + WRITTEN)
    did = [_yes(each == "+") for each in comm.read_text().strip()[len(PROBED) :]]
    assert _yes(written.exists()) == did[1]
    written.unlink(missing_ok=True)
    return did


def _yes(holds: object) -> str:
    return "yes" if holds else "no"


def _capabilities(status: dict[str, str]) -> str:
    """Return what a process can do, and could get by starting a program."""
    effective, bounding = (int(status[name], 16) for name in ("CapEff", "CapBnd"))
    others = {int(status[name], 16) for name in ("CapPrm", "CapInh", "CapAmb")}
    assert others <= {effective, 0}
    if effective and effective == bounding:
        return "all"
    assert bounding == 0
    return _CAPABILITIES[effective]


def _size(limit: str) -> str:
    return "no limit" if limit == "unlimited" else f"{int(limit) // _GIBIBYTE} GiB"


def _time(limit: str) -> str:
    if limit == "unlimited":
        return "no limit"
    hours, seconds = divmod(int(limit), 3600)
    return f"{hours} h a source" if hours else f"{seconds} s"


def _kinds(links: list[str], stage: Stage, medium: Path) -> Iterator[str]:
    """Yield what descriptors are of, but for what the caller had open."""
    for link in set(links) - {os.devnull, str(stage.secret)}:
        kind, _, _ = link.partition(":")
        if link == "/dev/fuse":
            yield "the mount"
        elif link.startswith(str(medium)):
            yield "the medium"
        elif link.startswith(str(stage.destination)):
            yield "the destination"
        elif kind == "socket":
            yield "sockets"
        elif link.endswith("/mountinfo"):
            yield "the list of mounts"
        elif kind in {"pipe", "anon_inode"}:
            yield "pipes and events"
        else:
            yield "the log" if Path(link).name.startswith("log") else link


# -- the processes ---------------------------------------------------------------------


def test_the_table_of_rights_is_what_the_processes_of_a_mount_have(
    mount: Mounter, stage: Stage
) -> None:
    need_root()
    need_packages("fsspec", "aiohttp")
    need_pictures()
    medium = a_medium(stage.folder / "medium")
    found = _rights_in_a_mount(mount, stage, medium)
    for name, rights in _rights_in_a_mount(mount, stage, medium, by_url=True).items():
        plain = found.setdefault(name, rights)
        found[name] = {
            right: value
            if plain[right] == value
            else f"{plain[right]} ({value} if URLs)"
            for right, value in rights.items()
        }

    others = {*_BESIDE.values(), *(f"`{command}`" for command in READERS)}
    assert {name: told for name, told in _told().items() if name not in others} == found


@pytest.mark.parametrize("command", READERS)
def test_the_table_of_rights_is_what_the_processes_of_a_command_have(
    stage: Stage, command: str
) -> None:
    need_root()
    medium = a_medium(stage.folder / "medium")
    mark = new_mark()
    into = [stage.destination] if command == "copy" else []
    with stage.start(mark, command, medium, *into):
        try:
            found = {f"`{command}`": rights_of(_reader(mark), stage, medium)}
            for pid in marked(mark):
                if name_of(pid) in _BESIDE:
                    name = _BESIDE[name_of(pid)]
                    found[name] = rights_of(pid, stage, medium)
        finally:
            kill(*marked(mark))

    assert {name: _told()[name] for name in found} == found
    assert (len(found) > 1) == (command in {"check", "copy"})


def _rights_in_a_mount(
    mount: Mounter, stage: Stage, medium: Path, *, by_url: bool = False
) -> dict[str, Rights]:
    """Return what the processes of a mount may do, by what they are."""
    with web_server({}) as web:
        sources: list[str | Path] = [medium]
        if by_url:
            web.objects["disc.zip"] = zipped(files_in(medium))
            sources.append(web.url("disc.zip"))
        place = stage.folder / f"mnt{by_url}"
        place.mkdir()
        shown = mount.adopt(medium, place)
        arguments = ["mount", "--log-file", shown.log_file, *sources, place]
        with stage.start(shown.mark, *arguments) as started:
            assert started.wait(PATIENCE) == 0
        # All that it ever makes is there: threads, and what is opened once.
        assert shown.files()[0].read_bytes()
        picture = f"getfattr -n {NAME.decode()}".split()
        with subprocess.Popen(
            [*picture, shown.files()[0]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as asking:
            assert until(lambda: _paints(shown.processes))
            named = _named(shown.processes)
            found = {name: rights_of(pid, stage, medium) for name, pid in named.items()}
            kill(named["brush"])
            assert asking.wait(PATIENCE) != 0
        shown.unmount()
    return found


def _paints(pids: list[int]) -> bool:
    """Whether somebody is about to paint a picture, and waits."""
    return any(name_of(pid) == WAITS for pid in pids)


def _named(pids: list[int]) -> dict[str, int]:
    """Return the processes of a mount, each by what it does."""
    parents = {pid: int(statuses(pid)[0]["PPid"]) for pid in pids}
    [worker] = [pid for pid in pids if "/dev/fuse" in _links(pid)]
    [brush] = [pid for pid in pids if name_of(pid) == WAITS]
    # It is waited for a few seconds only, so it comes first.
    named = {"brush": brush, "painter": parents[brush]}
    named |= {"studio": parents[parents[brush]]}
    named |= {"supervisor": parents[worker], "worker": worker}
    for pid in set(pids) - set(named.values()):
        if parents[pid] == parents[worker]:
            named["watcher"] = pid
        elif parents[pid] in pids:
            named |= {"keeper": parents[pid], "fetcher": pid}
    assert set(named.values()) == set(pids)
    return named


def _links(pid: int) -> list[str]:
    """Return what the descriptors of a process are of."""
    return [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]


def _reader(mark: str) -> int:
    """Return the process that would read the medium now."""

    def waiting() -> list[int]:
        return [pid for pid in marked(mark) if name_of(pid) == WAITS]

    assert until(waiting)
    [pid] = waiting()
    return pid


def _told() -> dict[str, Rights]:
    """Return what the manual says, by process."""
    text = section(DOCS / "security.md", "The table of rights")
    [heads] = re.findall(r"^\| right \|(.*)\|$", text, re.MULTILINE)
    names = [name.strip() for name in heads.split("|")]
    rows = rows_of(text)
    return {
        name: {row[0]: row[at] for row in rows}
        for at, name in enumerate(names, start=1)
    }


# -- what the manual admits ------------------------------------------------------------


def test_in_the_sandbox_any_path_can_be_asked_about(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (tmp_path / "medium").mkdir()
    closed.mkdir(mode=0o700)
    (closed / "file").write_bytes(bytes(9000))
    (tmp_path / "log").touch()

    asked = in_the_sandbox(tmp_path, lambda _: (closed / "file").stat().st_size)
    read = in_the_sandbox(tmp_path, lambda _: (closed / "file").read_bytes())

    assert asked == "9000"
    assert read in REFUSED
