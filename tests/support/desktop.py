"""A desktop without a screen: buses, a file manager, and what shows notifications.

What decides which program opens a file is the system's own (GLib, xdg-utils), and it finds
the files of ``share`` as after an installation. The file manager is a stand-in that says
what it was called with.
"""

import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from tests.support import mounting
from tests.support.mounting import (
    COMMAND,
    ROOT,
    Finished,
    User,
    lack,
    need,
    run,
    until,
)

_SHARE: Final = ROOT / "share"
# Of the freedesktop.org: Desktop Notifications Specification.
_NOTIFICATIONS: Final = "org.freedesktop.Notifications"
_UDISKS: Final = "org.freedesktop.UDisks2"
_UDISKSD: Final = "/usr/libexec/udisks2/udisksd"

_ENTRY: Final = """[Desktop Entry]
Type=Application
Name={name}
Exec={program} %f
MimeType={kinds}
"""
# Programs that a desktop has beside dicomfs, and what they open.
_OTHERS: Final = {"files": "inode/directory", "org.gnome.FileRoller": "application/zip"}
_STAND_IN: Final = '#!/bin/sh\nprintf \'%s\\n\' "$@" >>"$0.said"\n'

# A bus that allows everything, to all users: it is there for the test alone.
_BUS: Final = """<busconfig>
  <type>{kind}</type>
  <listen>unix:path={socket}</listen>
  {services}
  <policy context="default">
    <allow user="*"/><allow own="*"/>
    <allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""


@dataclass(slots=True)
class Desktop:
    """A desktop with its files in *folder*; *notes* has the notifications so far.

    Its *user* is who runs the tests, or somebody without rights.
    """

    folder: Path
    user: User | None = None
    mark: str = field(default_factory=mounting.new_mark)
    variables: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """The home of who uses it."""
        return self.folder / "home"

    @property
    def places(self) -> list[Path]:
        """What lies in the folder of all mounts."""
        above = self.home / "Patients"
        return sorted(above.iterdir()) if above.exists() else []

    def run(self, *command: str | Path) -> Finished:
        """Run *command* on it."""
        words = self.command([*map(str, command)])
        return run(words, mark=self.mark, env=self.variables)

    def command(self, command: Sequence[str]) -> list[str]:
        """Return *command* as the user would run it."""
        return self.user.starter(command) if self.user else [*command]

    def opened_by(self, program: str) -> list[str]:
        """Return what *program*, a stand-in, was called with so far."""
        said = self.folder / f"programs/{program}.said"
        return said.read_text("utf-8").splitlines() if said.exists() else []

    def has_ended(self) -> bool:
        """Whether no mount is served any more, and no folder of one is left."""
        return until(lambda: not self.places and not self._serving())

    def _serving(self) -> list[int]:
        names = map(mounting.name_of, mounting.marked(self.mark))
        return [1 for name in names if name.startswith("dicomfs")]


@contextmanager
def desktop(
    folder: Path, *, user: User | None = None, listens: bool = True
) -> Iterator[Desktop]:
    """Give a desktop of a *user* with its files in *folder*, and leave nothing of it.

    It shows no notifications itself unless it *listens*. Only root gets the service that
    tells of disks, and of the names of mounts.
    """
    need("gio", "xdg-open", "notify-send", "dbus-daemon")
    need("update-mime-database", "update-desktop-database")
    made = Desktop(folder, user)
    _install(made)
    if user:
        user.owns(folder)
    try:
        with ExitStack() as stack:
            if os.getuid() == 0 and user is None:
                # Services of the session look for it when they begin.
                stack.enter_context(_disks(made))
            address = stack.enter_context(_bus(made, "session"))
            made.variables["DBUS_SESSION_BUS_ADDRESS"] = address
            if listens:
                stack.enter_context(_listening(address, made.notes))
            yield made
    finally:
        for place in made.places:
            mounting.force_off(place)
        mounting.kill(*mounting.marked(made.mark))


@contextmanager
def _disks(desk: Desktop) -> Iterator[None]:
    """Have the service that tells *desk* of disks, on a bus for the system."""
    if not Path(_UDISKSD).exists():
        lack("needs udisks2")
    with _bus(desk, "system") as address:
        desk.variables["DBUS_SYSTEM_BUS_ADDRESS"] = address
        with started(desk, _UDISKSD):
            ping = f"{_UDISKS} --object-path / --method org.freedesktop.DBus.Peer.Ping"
            call = ["gdbus", "call", "--system", "--dest", *ping.split()]
            assert until(lambda: desk.run(*call).returncode == 0)
            yield


def _install(desk: Desktop) -> None:
    """Have the files of *share* where desktops find them, and the programs."""
    data, programs = desk.folder / "data", desk.folder / "programs"
    programs.mkdir()
    desk.home.mkdir()
    for name in ("applications", "mime"):
        shutil.copytree(_SHARE / name, data / name)
    for name, kinds in _OTHERS.items():
        entry = _ENTRY.format(name=name, program=name, kinds=kinds)
        (data / f"applications/{name}.desktop").write_text(entry, "utf-8")
        (programs / name).write_text(_STAND_IN, "utf-8")
    start = f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n'
    (programs / "dicomfs").write_text(start, "utf-8")
    for program in programs.iterdir():
        program.chmod(0o755)
    for tool, what in (("mime", data / "mime"), ("desktop", data / "applications")):
        done = run([f"update-{tool}-database", str(what)])
        assert done.returncode == 0, done.stderr
    desk.variables |= {
        "HOME": str(desk.home),
        "PATH": f"{programs}:{mounting.tool_path()}",
        "XDG_DATA_DIRS": f"{data}:/usr/share",
        "XDG_CURRENT_DESKTOP": "GNOME",
        "XDG_RUNTIME_DIR": str(desk.folder),
        # There is no screen; who is called needs none.
        "DISPLAY": ":nowhere",
    }
    # What the session of the test's own caller says counts for nothing.
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        desk.variables[name] = str(desk.folder / name.lower())


@contextmanager
def started(
    desk: Desktop, *command: str, **how: Any
) -> Iterator["subprocess.Popen[str]"]:
    env = mounting.environment(desk.mark, desk.variables)
    with subprocess.Popen(
        desk.command(command), env=env, stderr=subprocess.DEVNULL, text=True, **how
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def _bus(desk: Desktop, kind: str) -> Iterator[str]:
    """Start a bus, for the session or the system; give its address."""
    config, socket = desk.folder / f"{kind}.conf", desk.folder / f"{kind}-bus"
    # No service of the system is to be started for a test.
    services = "<standard_session_servicedirs/>" if kind == "session" else ""
    config.write_text(_BUS.format(kind=kind, socket=socket, services=services), "utf-8")
    how = ["--nofork", "--print-address", f"--config-file={config}"]
    with started(desk, "dbus-daemon", *how, stdout=subprocess.PIPE) as bus:
        assert bus.stdout is not None
        yield bus.stdout.readline().strip()


@contextmanager
def _listening(address: str, notes: list[tuple[str, str]]) -> Iterator[None]:
    """Show notifications for a while: add them to *notes*."""
    jeepney, io = import_module("jeepney"), import_module("jeepney.io.blocking")
    connection = io.open_dbus_connection(address)
    connection.send_and_get_reply(jeepney.message_bus.RequestName(_NOTIFICATIONS))
    answers = {
        "GetServerInformation": ("ssss", ("test", "dicomfs", "1", "1.2")),
        "GetCapabilities": ("as", (["body"],)),
        "Notify": ("u", (1,)),
    }

    def listen() -> None:
        with suppress(OSError, EOFError):
            while True:
                message = connection.receive()
                fields = message.header.fields
                member = fields.get(jeepney.HeaderFields.member)
                if message.header.message_type != jeepney.MessageType.method_call:
                    continue
                if member == "Notify":
                    notes.append((message.body[3], message.body[4]))
                if member in answers:
                    connection.send(
                        jeepney.new_method_return(message, *answers[member])
                    )

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield
    finally:
        with suppress(OSError):
            connection.sock.shutdown(2)
        listener.join(mounting.PATIENCE)
        connection.close()
