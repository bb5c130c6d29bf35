"""A mount of a URL: to which of its processes the credentials are, and when one dies."""

import base64
import json
import os
import signal
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.build.medium import image, patient, series, study, write_medium
from tests.support import mounting
from tests.support.mounting import OF_A_MOUNT, Mount, Mounter, name_of, need_root, until
from tests.support.servers import WebServer, leave_machine, web_server

pytestmark = pytest.mark.mount

SECRET: Final = "Sesame77"
# Which no library knows, and no list.
OTHER: Final = "Simsim88"
# Of each of the three images.
SIZE: Final = 2**20


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    leave_machine(monkeypatch, tmp_path)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    """Return a server that has a medium, for those who know the password."""
    need_root()  # who else may look into processes that cannot be dumped?
    medium = tmp_path / "medium"
    images = [image(f"1.2.3.{number}", size=SIZE) for number in range(3)]
    write_medium(medium, [patient("Doe", "1", [study("1.2", [series("1", images)])])])
    with zipfile.ZipFile(tmp_path / "disc.zip", "w") as archive:
        for path in medium.rglob("*"):
            archive.write(path, path.relative_to(medium))
    with web_server({"disc.zip": (tmp_path / "disc.zip").read_bytes()}) as server:
        server.password = f"jane:{SECRET}"
        yield server


def variables() -> dict[str, str]:
    """Return an environment with the password, as fsspec takes it, and with others."""
    authorization = base64.b64encode(f"jane:{SECRET}".encode()).decode()
    headers = {"Authorization": f"Basic {authorization}"}
    return {
        "FSSPEC_HTTP": json.dumps({"client_kwargs": {"headers": headers}}),
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "TOKEN": OTHER,
    }


def secrets() -> list[bytes]:
    """Return what nobody but keeper and fetcher may have."""
    known = variables()
    return [known["FSSPEC_HTTP"].encode(), SECRET.encode(), OTHER.encode()]


def originals(folder: Path) -> list[bytes]:
    """Return the images of the medium."""
    return [file.read_bytes() for file in (folder / "medium/IMAGES").iterdir()]


def read(shown: Mount) -> list[bytes]:
    """Return all that a mount shows."""
    return [file.read_bytes() for file in shown.files()]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def serves(pid: int) -> bool:
    """Whether a process has the mount."""
    held = [each.readlink() for each in Path(f"/proc/{pid}/fd").iterdir()]
    return Path("/dev/fuse") in held


def worker_of(shown: Mount) -> int:
    [worker] = filter(serves, shown.processes)
    return worker


def fetcher_of(shown: Mount) -> int:
    """Return the process that fetches: it has no child, nor is it one of the mount's."""
    parents = set(map(parent, shown.processes))
    [last] = (pid for pid in shown.processes if pid not in parents and not is_ours(pid))
    return last


def is_ours(pid: int) -> bool:
    """Whether a process is worker, watcher or studio."""
    return name_of(pid) in {
        f"dicomfs-{name}" for name in ("worker", "watcher", "studio")
    }


def memory(pid: int) -> Iterator[bytes]:
    """Yield what a process has in memory, mapping by mapping, that may be written."""
    with Path(f"/proc/{pid}/mem").open("rb", 0) as source:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            begin, end = (int(each, 16) for each in place.split("-"))
            if rights.startswith("rw"):
                source.seek(begin)
                yield source.read(end - begin)


@pytest.mark.parametrize("foreground", [False, True])
def test_credentials_are_in_no_environment_and_in_no_memory_but_where_they_belong(
    mount: Mounter, web: WebServer, foreground: bool
) -> None:
    shown = mount(web.url("disc.zip"), foreground=foreground, env=variables())
    processes = shown.processes
    fetcher = fetcher_of(shown)
    belong = {fetcher, parent(fetcher)}

    assert len(processes) == OF_A_MOUNT + 2
    for pid in processes:
        block = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"DICOMFS_TEST=" in block
        assert not any(secret in block for secret in secrets())
    assert any(SECRET.encode() in part for part in memory(parent(fetcher)))
    for pid in set(processes) - belong:
        for part in memory(pid):
            assert not any(secret in part for secret in secrets())
    shown.unmount()


@pytest.mark.parametrize("command", ["tree", "check", "catalogue", "repair"])
def test_credentials_are_in_no_environment_but_the_fetchers_while_a_command_waits(
    web: WebServer, command: str
) -> None:
    mark = mounting.new_mark()
    web.may_answer.clear()
    with subprocess.Popen(
        [*mounting.COMMAND, command, web.url("disc.zip")],
        env=mounting.environment(mark, variables()),
        stdout=subprocess.PIPE,
    ) as waiting:
        assert until(lambda: web.waiting)
        shown = [
            Path(f"/proc/{pid}/environ").read_bytes() for pid in mounting.marked(mark)
        ]
        web.may_answer.set()
        waiting.communicate()

    assert waiting.returncode == 0
    # Who waits, who reads, and who fetches with its keeper.
    assert len(shown) >= 4
    assert not [each for each in shown for secret in secrets() if secret in each]


def test_a_mount_reads_on_when_its_fetcher_dies(
    mount: Mounter, web: WebServer, tmp_path: Path
) -> None:
    shown = mount(web.url("disc.zip"), env=variables())
    shown.expect_log("another process reads over the network now")
    before = fetcher_of(shown)
    os.kill(before, signal.SIGKILL)
    web.asked.clear()

    assert sorted(read(shown)) == sorted(originals(tmp_path))
    # Memory had the headers of that.
    assert web.bytes_sent > 2 * SIZE
    shown.unmount()


def test_a_mount_ends_with_all_its_processes_however_its_keeper_ended(
    mount: Mounter, web: WebServer, tmp_path: Path
) -> None:
    shown = mount(web.url("disc.zip"), env=variables())
    os.kill(parent(fetcher_of(shown)), signal.SIGKILL)
    assert until(lambda: len(shown.processes) == OF_A_MOUNT + 1)

    assert sorted(read(shown)) == sorted(originals(tmp_path))
    shown.unmount()
