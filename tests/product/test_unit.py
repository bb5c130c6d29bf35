"""The unit for import stations: how much it exposes, and whether dicomfs lives with it.

No test has systemd as its process 1, so what the unit takes away is taken away by hand.
"""

import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.sandbox.test_sandbox import a_medium
from tests.support.mounting import (
    COMMAND,
    ROOT,
    Mounter,
    User,
    need,
    need_root,
    run,
)

UNIT: Final = ROOT / "packaging/systemd/dicomfs@.service"

# Tenths; systemd calls it OK up to 4.9, and a unit without any of this has 9.6.
_MOST_EXPOSURE: Final = 34
_NUMBERS: Final = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")

# Lets through the system calls of these numbers, and becomes a command.
_FILTERED: Final = """
import ctypes, os, struct, sys
steps = [(0x20, 0, 0, 0)]
for number in map(int, sys.argv[1].split(",")):
    steps += [(0x15, 0, 1, number), (0x06, 0, 0, 0x7FFF0000)]
steps.append((0x06, 0, 0, 0x00050000 | 1))
program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *s) for s in steps))
libc = ctypes.CDLL(None, use_errno=True)
filter_ = struct.pack("@HP", len(steps), ctypes.addressof(program))
if libc.prctl(22, 2, filter_, 0, 0):
    raise OSError(ctypes.get_errno(), "no filter")
os.execv(sys.argv[2], sys.argv[2:])
"""


def settings(name: str) -> list[str]:
    """Return the values that the unit gives a setting, in their order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_the_unit_exposes_little() -> None:
    need("systemd-analyze")

    done = run(
        [
            *("systemd-analyze", "security", "--offline=true", "--no-pager"),
            *(f"--threshold={_MOST_EXPOSURE}", str(UNIT)),
        ]
    )

    assert "Overall exposure level" in done.stdout, done.stderr
    assert done.returncode == 0, done.stdout


def test_the_unit_says_what_dicomfs_understands() -> None:
    for setting in ("ExecStart", "ExecStop"):
        [line] = settings(setting)
        program, *arguments = shlex.split(
            line.replace("%I", "sr0").replace("%i", "sr0")
        )

        done = run([*COMMAND, *arguments[:1], "--help"])

        assert program == "/usr/local/bin/dicomfs"
        options = {each for each in arguments if each.startswith("-")}
        assert all(option in done.stdout for option in options)


@pytest.mark.mount
@pytest.mark.slow
def test_a_medium_is_mounted_with_no_more_than_the_unit_leaves(
    mount: Mounter, ordinary_user: User
) -> None:
    need_root()
    need("systemd-analyze", "setpriv", "fusermount3")
    medium = ordinary_user.owns(a_medium(ordinary_user.home / "medium"))
    place = ordinary_user.home / "mnt"
    place.mkdir()
    ordinary_user.owns(place)
    shown = mount.adopt(medium, place)

    done = run(_within(ordinary_user, "mount", medium, place), mark=shown.mark)

    assert (done.returncode, done.stderr.count("lacks")) == (0, 0), done.stderr
    read = _digests(place, ordinary_user)
    assert len(read) == 9
    assert read <= _digests(medium, ordinary_user)
    done = run(_within(ordinary_user, "umount", place), mark=shown.mark)
    assert done.returncode == 0, done.stderr
    assert shown.has_ended()


def _digests(folder: Path, user: User) -> set[str]:
    """Return the digests of all files below *folder* that *user* can read."""
    command = ["find", str(folder), "-type", "f", "-exec", "sha256sum", "{}", "+"]
    return {line.split()[0] for line in run(user.command(command)).stdout.splitlines()}


def _within(user: User, *arguments: str | Path) -> list[str]:
    """Return dicomfs with *arguments*, as the unit would run it for *user*."""
    [kept] = settings("CapabilityBoundingSet")
    [ambient] = settings("AmbientCapabilities")
    # The interpreter of the tests may lie where the user does not look.
    names = [f"+{each[4:].lower()}" for each in kept.split()] + ["+dac_read_search"]
    capabilities = ",".join(["-all", *names])
    assert kept == ambient
    assert settings("NoNewPrivileges") == ["yes"]
    # Last, as the filter refuses what setpriv does.
    return [
        *("setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"),
        *("--no-new-privs", f"--bounding-set={capabilities}"),
        *(f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"),
        *(sys.executable, "-P", "-c", _FILTERED, ",".join(map(str, _allowed()))),
        *COMMAND,
        *map(str, arguments),
    ]


def _allowed() -> list[int]:
    """Return the numbers of the system calls that the unit allows."""
    names: set[str] = set()
    for line in settings("SystemCallFilter"):
        calls = {call for each in line.lstrip("~").split() for call in _calls(each)}
        names = names - calls if line.startswith("~") else names | calls
    numbers = dict(re.findall(r"#define __NR_(\w+) (\d+)", _NUMBERS.read_text()))
    return sorted(int(numbers[name]) for name in names & numbers.keys())


@cache
def _calls(name: str) -> frozenset[str]:
    """Return the system calls of a group of systemd, or the one of this name."""
    if not name.startswith("@"):
        return frozenset({name})
    told = run(["systemd-analyze", "syscall-filter", "--no-pager", name]).stdout
    return frozenset(_members(told))


def _members(told: str) -> Iterator[str]:
    for line in told.splitlines()[1:]:
        word = line.strip()
        if word and not word.startswith("#"):
            yield from _calls(word)
