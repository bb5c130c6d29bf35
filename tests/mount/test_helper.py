"""dicomfs for mount(8): types, fstab, options, and exit codes, with the real mount(8)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.build.medium import image, patient, series, study, write_medium
from tests.support.mounting import Finished, User, lack, run, until
from tests.support.system import System, system

pytestmark = [pytest.mark.mount, pytest.mark.alone]

TYPES: Final = ("dicomfs", "fuse.dicomfs")
# Of mount(8), "Exit status".
WRONG_CALL: Final = 1
NOT_MOUNTED: Final = 32


def a_medium(folder: Path) -> Path:
    one = [study("1.2", [series("1", [image("1.2.3.4")])])]
    write_medium(folder, [patient("Doe^Jane", "1", one)])
    return folder


@pytest.fixture
def host(public_folder: Path) -> Iterator[System]:
    """Return a system with dicomfs installed."""
    with system(public_folder) as made:
        yield made


@pytest.fixture
def source(public_folder: Path) -> Path:
    """Return a medium that all may read; its name is one that options must not split."""
    return a_medium(public_folder / "a, b")


@pytest.fixture
def place(public_folder: Path) -> Path:
    """Return an empty folder."""
    folder = public_folder / "mnt"
    folder.mkdir()
    return folder


def assert_mounted(host: System, done: Finished, source: Path, place: Path) -> str:
    """See that a mount was made, without a word; return its options."""
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    ((shown, where, options),) = host.mounted()
    assert (shown, where) == (escaped(source), str(place))
    return options


def assert_ends(host: System, *command: str | Path, user: User | None = None) -> None:
    """See that *command* ends all mounts, and whoever served them."""
    done = host.run(*command, user=user)
    assert (done.returncode, done.stderr) == (0, "")
    assert host.mounted() == []
    assert until(lambda: not host.serving())


def entry(source: Path, place: Path, kind: str, options: str) -> str:
    """Return a line of fstab."""
    return f"{escaped(source)} {place} {kind} {options} 0 0"


def escaped(path: Path) -> str:
    """Return *path* as tables of mounts have it."""
    return str(path).replace(" ", "\\040")


@pytest.mark.parametrize("kind", TYPES)
def test_a_medium_is_mounted_by_its_type_and_unmounted(
    host: System, source: Path, place: Path, kind: str
) -> None:
    done = host.run("mount", "-t", kind, source, place)

    assert_mounted(host, done, source, place)
    assert host.run("ls", place).stdout == "Doe, Jane (1)\n"
    assert_ends(host, "umount", place)


@pytest.mark.parametrize("kind", TYPES)
def test_a_line_of_fstab_may_have_every_option_that_others_need(
    host: System, source: Path, place: Path, kind: str
) -> None:
    ours = "allow_other,umask=022,index-only,deadline=5"
    theirs = (
        "ro,noauto,nofail,_netdev,comment=x,x-systemd.automount,X-mount.mkdir,users"
    )
    host.lines(entry(source, place, kind, f"{theirs},{ours}"))

    done = host.run("mount", place)

    assert "allow_other" in assert_mounted(host, done, source, place)
    assert host.run("stat", "-c", "%a", place).stdout == "755\n"
    assert_ends(host, "umount", place)


@pytest.mark.parametrize("kind", TYPES)
def test_all_lines_of_a_table_are_mounted_once(
    host: System, source: Path, place: Path, kind: str
) -> None:
    table = host.fstab.with_name("table")
    table.write_text(entry(source, place, kind, "ro,nofail") + "\n", "utf-8")

    assert_mounted(host, host.run("mount", "-a", "-T", table), source, place)

    assert_mounted(host, host.run("mount", "-a", "-T", table), source, place)
    assert_ends(host, "umount", place)


def test_flags_of_mount_are_understood(host: System, source: Path, place: Path) -> None:
    done = host.run("mount", "-n", "-s", "-t", "dicomfs", "-o", "nope", source, place)

    assert_mounted(host, done, source, place)
    assert_ends(host, "umount", "-n", place)


@pytest.mark.parametrize("kind", ["fuse", "fuse3"])
def test_the_type_may_stand_in_front_of_the_source(
    host: System, source: Path, place: Path, kind: str
) -> None:
    # As older tables have it: mount.fuse3 finds the program there.
    done = host.run("mount", "-t", kind, f"dicomfs#{source}", place)

    assert_mounted(host, done, source, place)
    assert_ends(host, "umount", place)


def test_a_verbose_mount_says_where_it_is(
    host: System, source: Path, place: Path
) -> None:
    done = host.run("mount", "-v", "-t", "dicomfs", source, place)

    assert done.returncode == 0
    assert f"dicomfs: mounted on {place}\n" in done.stderr
    assert_ends(host, "umount", place)


def test_a_mount_that_is_only_feigned_mounts_nothing(
    host: System, source: Path, place: Path
) -> None:
    done = host.run("mount", "-f", "-t", "dicomfs", source, place)

    assert (done.returncode, done.stderr) == (0, "")
    assert host.mounted() == []


def test_a_mount_is_made_in_another_namespace(
    host: System, source: Path, place: Path
) -> None:
    namespace = f"/proc/{host.pid}/ns/mnt"
    sbin = host.fstab.with_name("sbin")

    done = run([str(sbin / "mount.dicomfs"), str(source), str(place), "-N", namespace])

    assert_mounted(host, done, source, place)
    assert_ends(host, "umount", place)


# -- as an ordinary user ---------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES)
def test_a_user_mounts_and_unmounts_what_fstab_lets_users_mount(
    host: System, source: Path, place: Path, ordinary_user: User, kind: str
) -> None:
    if host.run("dicomfs", "--help", user=ordinary_user).returncode:
        lack("an ordinary user cannot run this Python")
    ordinary_user.owns(place)
    host.lines(entry(source, place, kind, "ro,noauto,user"))

    done = host.run("mount", place, user=ordinary_user)

    options = assert_mounted(host, done, source, place)
    assert f"user_id={ordinary_user.uid}" in options
    shown = host.run("ls", place, user=ordinary_user)
    assert shown.stdout == "Doe, Jane (1)\n"
    assert_ends(host, "umount", place, user=ordinary_user)


# -- exit codes ------------------------------------------------------------------------

FAILURES: Final = {
    "no source": ("/nowhere", "", "ro", NOT_MOUNTED),
    "no mountpoint": ("", "/nowhere", "ro", NOT_MOUNTED),
    "no medium": ("/etc", "", "ro", NOT_MOUNTED),
    "an unknown option": ("", "", "scam", WRONG_CALL),
    "a wrong value": ("", "", "umask=9", WRONG_CALL),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("kind", TYPES)
def test_a_failure_ends_with_the_code_of_mount(
    host: System, source: Path, place: Path, kind: str, failure: str
) -> None:
    from_, to, options, code = FAILURES[failure]
    host.lines(entry(Path(from_ or source), Path(to or place), kind, options))

    done = host.run("mount", to or place)

    # mount(8) itself looks at the mountpoint first.
    assert done.returncode == code
    assert re.search(r"^(dicomfs|mount): \S", done.stderr)
    assert "Traceback" not in done.stderr
    assert host.mounted() == []


@pytest.mark.parametrize("is_absent", [True, False], ids=["absent", "not a medium"])
def test_what_may_fail_does_so_in_silence_if_it_is_absent(
    host: System, place: Path, is_absent: bool
) -> None:
    source = Path("/nowhere") if is_absent else Path("/etc")
    host.lines(entry(source, place, "dicomfs", "ro,nofail"))

    done = host.run("mount", "-a")

    assert (done.returncode == 0) is is_absent
    assert (done.stderr == "") is is_absent
