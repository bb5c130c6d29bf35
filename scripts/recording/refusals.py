"""What dicomfs refuses, and what it says of itself: command lines for that.

Their paths are those in the folder of the media; ``PLACE`` stands for an empty folder.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from scripts.recording.command import Dicomfs
from scripts.recording.entries import Entry

_PLACE: Final = "PLACE"
_COMMANDS: Final = ("mount", "umount", "tree", "check", "demo")
# Of those who listen on loopback, nobody does on this port.
_URL: Final = "http://127.0.0.1:1/disc.iso"

# Sources that no command takes.
_SOURCES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "no such medium": ("nowhere",),
        "no medium at all": ("",),
        "a text file": ("text.txt",),
        "an empty file": ("empty.iso",),
        "an empty folder": ("empty",),
        "a device": ("/dev/null",),
        "a DICOMDIR without records": ("broken/dicomdir-is-empty",),
        "an encrypted DICOMDIR": ("broken/dicomdir-is-encrypted",),
        "a damaged image": ("images/cut-off-early.iso",),
        "an archive without its password": ("archives/locked.zip",),
        "a wrong password": ("--password-file", "wrong", "archives/locked.zip"),
        "a wrong password for AES": ("--password-file", "wrong", "archives/aes.zip"),
        "no such password file": ("--password-file", "nowhere", "archives/locked.zip"),
        "a password file that is a folder": ("--password-file", "empty", "sample"),
        "a URL where nobody listens": (_URL,),
        "a URL of no protocol": ("gopher://127.0.0.1/disc.iso",),
        "two ways at once": ("--index-only", "--scan", "sample"),
        "an unknown option": ("--fast", "sample"),
        "one medium of two": ("sample", "nowhere"),
    }
)

# Other command lines.
_LINES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "nothing": (),
        "no such command": ("look",),
        "help": ("--help",),
        "the versions": ("--version",),
        **{f"help for {command}": (command, "--help") for command in _COMMANDS},
        "mount without arguments": ("mount",),
        "mount without a mountpoint": ("mount", "sample"),
        "tree without a source": ("tree",),
        "check without a source": ("check",),
        "umount without a mountpoint": ("umount",),
        "umount of what is not mounted": ("umount", _PLACE),
        "umount of what is not there": ("umount", "nowhere"),
        "umount of another file system": ("umount", "/proc"),
        "no such mountpoint": ("mount", "sample", "nowhere"),
        "no mountpoint at all": ("mount", "sample", ""),
        "a mountpoint that is a file": ("mount", "sample", "text.txt"),
        "a mountpoint that is not empty": ("mount", "sample", "scan"),
        "a mountpoint inside its source": ("mount", "scan", "scan/empty"),
        "a mountpoint around its source": ("mount", "sample", "."),
        "a mountpoint of the system": ("mount", "sample", "/proc"),
        "a umask that is not octal": ("mount", "--umask", "089", "sample", _PLACE),
        "a uid that is a name": ("mount", "--uid", "root", "sample", _PLACE),
        "a deadline of nothing": ("mount", "--deadline", "0", "sample", _PLACE),
        "-o nonsense": ("mount", "-o", "nonsense", "sample", _PLACE),
        "-o uid with a name": ("mount", "-o", "ro,uid=root", "sample", _PLACE),
        "an option cut short": ("mount", "--fore", "sample", _PLACE),
        "no log file": ("mount", "--log-file", "empty", "sample", _PLACE),
        "options of another command": ("tree", "--umask", "022", "sample"),
    }
)


def lines() -> dict[str, tuple[str, ...]]:
    """Return all command lines, each by what is wrong with it."""
    found = dict(_LINES)
    for name, source in _SOURCES.items():
        found[f"tree: {name}"] = ("tree", *source)
        found[f"check: {name}"] = ("check", *source)
        found[f"mount: {name}"] = ("mount", *source, _PLACE)
    return found


def entry(dicomfs: Dicomfs, name: str, line: tuple[str, ...]) -> Entry:
    """Return what is said to a *line*. What it should not mount, ``run`` unmounts."""
    place = dicomfs.work / f"refused, {name}".replace("/", "_")
    place.mkdir()
    given = [str(place) if each == _PLACE else each for each in line]
    return Entry("refusal", name, dicomfs.run(*given))
