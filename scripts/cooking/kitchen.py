"""Where recipes are run: a home with a mounted medium, and servers on loopback."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.mounting import Finished, run, until

_SECONDS: Final = 300.0
_SMB: Final = """[global]
server role = standalone server
interfaces = lo
bind interfaces only = yes
smb ports = 1445
disable netbios = yes
log file = {home}/smb.log
lock directory = {home}/smb
state directory = {home}/smb
cache directory = {home}/smb
pid directory = {home}/smb
ncalrpc dir = {home}/smb/rpc
private dir = {home}/smb
include = {home}/patients.conf
"""


class Kitchen(NamedTuple):
    """A *home* in which a medium of so many *files* is mounted on ``patients``."""

    home: Path
    medium: Path
    files: int

    @property
    def variables(self) -> Mapping[str, str]:
        """What commands find in their environment."""
        return {"HOME": str(self.home), "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}

    def cook(self, commands: str) -> Finished:
        """Run *commands* in the home; all of them have to go well."""
        shell = ["bash", "-euo", "pipefail", "-c", commands]
        return run(shell, env=self.variables, cwd=self.home, seconds=_SECONDS)

    def use(self, *command: str | Path) -> str:
        """Return what a client prints; it must not fail."""
        done = run([*map(str, command)], env=self.variables, cwd=self.home)
        assert done.returncode == 0, done.stderr or done.stdout
        return done.stdout

    def found(self, folder: str, pattern: str) -> int:
        """Return how many files of this *pattern* there are in a *folder* of the home."""
        return sum(1 for _ in (self.home / folder).rglob(pattern))


@contextmanager
def nobody(_: Kitchen) -> Iterator[None]:
    """Serve nothing: the recipe needs no server."""
    yield


@contextmanager
def orthanc(kitchen: Kitchen) -> Iterator[None]:
    """Have an Orthanc at its usual ports, which only takes what comes from here."""
    settings = {
        "StorageDirectory": str(kitchen.home / "orthanc"),
        "IndexDirectory": str(kitchen.home / "orthanc"),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
    }
    file = kitchen.home / "orthanc.json"
    file.write_text(json.dumps(settings), "utf-8")
    with _server(["Orthanc", str(file)], kitchen):
        asked = ["curl", "--silent", "--fail", "http://localhost:8042/system"]
        assert until(lambda: run(asked).returncode == 0)
        yield


@contextmanager
def samba(kitchen: Kitchen) -> Iterator[None]:
    """Have a server of Samba at another port, with the share of the recipe."""
    (kitchen.home / "smb").mkdir()
    config = kitchen.home / "smb.conf"
    config.write_text(_SMB.format(home=kitchen.home), "utf-8")
    named = ["--configfile", str(config)]
    with subprocess.Popen(
        ["smbpasswd", "-c", str(config), "-a", "-s", _user()],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as password:
        password.communicate(b"secret\nsecret\n")
    with _server(["smbd", "--foreground", "--no-process-group", *named], kitchen):
        assert until(lambda: _is_served(kitchen))
        yield


def share(kitchen: Kitchen, command: str) -> Finished:
    """Have smbclient do a *command* on the share."""
    login = ["--port", "1445", "--user", f"{_user()}%secret", "//localhost/patients"]
    return run(["smbclient", *login, "-c", command], cwd=kitchen.home, seconds=_SECONDS)


def _is_served(kitchen: Kitchen) -> bool:
    return share(kitchen, "ls").returncode == 0


def _user() -> str:
    return run(["id", "-un"]).stdout.strip()


@contextmanager
def _server(command: Sequence[str], kitchen: Kitchen) -> Iterator[None]:
    null = subprocess.DEVNULL
    env = {**os.environ, **kitchen.variables}
    # smbd ends with all of its process group.
    with subprocess.Popen(
        command, env=env, stdout=null, stderr=null, start_new_session=True
    ) as server:
        try:
            yield
        finally:
            server.terminate()
