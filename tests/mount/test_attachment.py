"""A mount goes to the folder that was meant, and is found again wherever that went."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest

from dicomfs.cli.codes import Exit
from dicomfs.errors import Failure, Problem
from dicomfs.media.mountinfo import connected_device
from dicomfs.mount import attachment, mountpoint
from dicomfs.mount.attachment import Attached
from dicomfs.mount.options import Options
from tests.build.medium import image, patient, series, study, write_medium
from tests.support import mounting
from tests.support.mounting import (
    COMMAND,
    Mount,
    Mounter,
    User,
    changed,
    dicomfs,
    environment,
    is_mounted,
    need,
    need_root,
    run,
    send,
    until,
)

pytestmark = pytest.mark.mount


@pytest.fixture(autouse=True)
def fuse() -> None:
    need("fusermount3", "/dev/fuse")


@pytest.fixture
def medium(public_folder: Path) -> Path:
    """Return a small medium that all can read."""
    one = patient("Doe^Jane", "1", [study("1.2", [series("1", [image("1.2.3")])])])
    write_medium(public_folder / "medium", [one])
    return public_folder / "medium"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return an empty folder, in one that can be renamed."""
    folder = tmp_path / "parent" / "mnt"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a folder in use, on which nothing must be mounted."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "letter").write_text("dear")
    return folder


@contextlib.contextmanager
def held(place: Path) -> Iterator[int]:
    """Hold *place* for a while."""
    folder = mountpoint.hold(mountpoint.resolve(place), [])
    yield folder
    os.close(folder)


@contextlib.contextmanager
def attached(folder: int) -> Iterator[Attached]:
    """Mount on a *folder* that is held, for a while, with nobody to serve it."""
    made = attachment.attach(folder, Options.default())
    try:
        yield made
    finally:
        os.close(made.device)
        assert attachment.clear(made.mount.device, if_dead=True)


# -- there -----------------------------------------------------------------------------


def test_what_is_mounted_is_told_by_its_device_and_its_place(place: Path) -> None:
    with held(place) as folder, attached(folder) as (device, mount):
        assert mount.mountpoint == os.fsencode(place)
        assert connected_device(device) in {mount.device, None}
        assert mountpoint.mounted_on(folder) == mount
        assert attachment.seen(mount.device) == [mount]

    assert not is_mounted(place)


def test_a_link_is_followed_once_and_what_it_led_to_is_held(
    tmp_path: Path, place: Path, victim: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(place)

    with held(link) as folder:
        link.unlink()
        link.symlink_to(victim)
        with attached(folder) as (_, mount):
            assert mount.mountpoint == os.fsencode(place)


@pytest.mark.parametrize("above", [0, 1, 2], ids=["itself", "parent", "grandparent"])
def test_a_link_that_comes_after_the_look_is_not_followed(
    tmp_path: Path, above: int
) -> None:
    place, victim = tmp_path / "a" / "b" / "mnt", tmp_path / "victim" / "b" / "mnt"
    place.mkdir(parents=True)
    victim.mkdir(parents=True)
    resolved = mountpoint.resolve(place)
    [swapped, other] = [[each, *each.parents][above] for each in (place, victim)]
    swapped.rename(tmp_path / "moved")
    swapped.symlink_to(other)

    with pytest.raises(Failure) as caught:
        mountpoint.hold(resolved, [])

    assert caught.value.problem is Problem.MOUNTPOINT_NOT_FOLDER


def test_the_folder_that_was_held_is_mounted_on_whatever_its_path_leads_to_then(
    place: Path, victim: Path
) -> None:
    with held(place) as folder:
        moved = place.parent.rename(place.parent.with_name("moved")) / "mnt"
        place.parent.mkdir()
        place.symlink_to(victim)
        with attached(folder) as (_, mount):
            assert mount.mountpoint == os.fsencode(moved)
            assert not is_mounted(victim)


def test_a_link_that_comes_at_the_last_moment_leads_no_mount_of_roots_elsewhere(
    monkeypatch: pytest.MonkeyPatch, place: Path, victim: Path
) -> None:
    need_root()
    kernel = attachment._libc
    moved = place.with_name("moved")

    def mount(*given: object) -> int:
        place.rename(moved)
        place.symlink_to(victim)
        done: int = kernel.mount(*given)
        return done

    calls = SimpleNamespace(mount=mount, umount2=kernel.umount2)
    with held(place) as folder:
        monkeypatch.setattr(attachment, "_libc", calls)
        with attached(folder) as made:
            assert made.mount.mountpoint == os.fsencode(moved)
            assert not is_mounted(victim)


SWAP = """
cd "$1" || exit
echo begun
while :; do mv mnt kept; ln -s "$2" mnt; rm mnt; mv kept mnt; done 2>/dev/null
"""


@contextlib.contextmanager
def swapping(user: User, above: Path, victim: Path) -> Iterator[None]:
    """Let *user* put a link to *victim* in the place of the mountpoint and back."""
    command = user.command(["sh", "-c", SWAP, "sh", str(above), str(victim)])
    with subprocess.Popen(command, stdout=subprocess.PIPE) as attacker:
        try:
            assert attacker.stdout is not None
            assert attacker.stdout.readline() == b"begun\n"
            yield
        finally:
            attacker.kill()


@pytest.mark.late
@pytest.mark.alone
def test_who_controls_the_folder_above_leads_no_mount_of_roots_elsewhere(
    mount: Mounter, medium: Path, ordinary_user: User, victim: Path
) -> None:
    need_root()
    above = ordinary_user.home / "theirs"
    (above / "mnt").mkdir(parents=True)
    ordinary_user.owns(above)
    shown = mount.adopt(medium, above / "mnt")
    with swapping(ordinary_user, above, victim):
        for _ in range(8):
            dicomfs("mount", medium, above / "mnt", mark=shown.mark)
            assert not is_mounted(victim)
            send(signal.SIGTERM, *shown.processes)
            assert until(lambda: not shown.processes)

    assert os.listdir(victim) == ["letter"]  # noqa: PTH208 - only names
    assert not any(os.fsencode(above) in each for each in mounting.mounts())


# What is put over the folder that is held while the helper mounts elsewhere.
OVER: Final = {
    "nothing": "",
    "another file system": "mount -t tmpfs none {held}",
    "another mount of ours": "{helper} -o ro,subtype=dicomfs -- {held}",
}


# Where the kernel tells no device, all mounts are looked at, and busy for that moment.
UNTOLD: Final = [
    pytest.param(each, False, marks=pytest.mark.alone)
    for each in ("nothing", "another file system")
]


@pytest.mark.parametrize(
    ("what", "tells"),  # whether the kernel tells the device of a descriptor
    [*((each, True) for each in OVER), *UNTOLD],
)
def test_what_the_helper_mounted_elsewhere_is_undone(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    place: Path,
    victim: Path,
    what: str,
    tells: bool,
) -> None:
    if OVER[what]:
        need_root()
    if not tells:
        monkeypatch.setattr(attachment, "connected_device", lambda _fd: None)
    real = attachment.fusermount()
    moved = tmp_path / "moved"
    over = OVER[what].format(held=moved / place.name, helper=real)
    script = tmp_path / "bin" / "fusermount3"
    script.parent.mkdir()
    script.write_text(
        f"#!/bin/sh\nmv {place.parent} {moved}\n"
        f'mkdir {place.parent}\nmv {victim} {place}\n{real} "$@"\n{over}\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr(attachment, "_is_root", lambda: False)
    monkeypatch.setattr(attachment, "fusermount", lambda: str(script))
    try:
        with held(place) as folder:
            monkeypatch.setattr(
                attachment, "_helper", lambda at, **_: [real, "-uz", str(at)]
            )

            with pytest.raises(Failure) as caught:
                attachment.attach(folder, Options.default())
    finally:
        run(["umount", "--lazy", str(moved / place.name)])

    assert caught.value.problem is Problem.MOUNT_REFUSED
    assert os.listdir(place) == ["letter"]  # noqa: PTH208 - only names


@pytest.mark.alone  # it looks at all mounts, too
def test_a_mount_that_was_there_before_is_not_taken_for_the_new_one(
    monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    with held(place) as folder, attached(folder):
        nothing = os.open(os.devnull, os.O_RDONLY)
        monkeypatch.setattr(attachment, "_is_root", lambda: False)
        monkeypatch.setattr(attachment, "_by_helper", lambda *_: nothing)

        with pytest.raises(Failure) as caught:
            attachment.attach(folder, Options.default())

        monkeypatch.undo()
    assert caught.value.problem is Problem.MOUNT_REFUSED


# -- and away from there ---------------------------------------------------------------


def test_a_mount_whose_parent_was_renamed_ends_where_it_is(
    mount: Mounter, medium: Path, place: Path
) -> None:
    shown = mount(medium, place=place)
    moved = place.parent.rename(place.parent.with_name("moved")) / "mnt"

    os.kill(shown.supervisor, signal.SIGTERM)

    assert until(lambda: not shown.processes)
    assert not is_mounted(moved)


@pytest.mark.slow
@pytest.mark.alone  # whatever else is mounted or unmounted wakes who waits
def test_a_mount_in_a_folder_that_was_closed_goes_when_that_is_open_again(
    mount: Mounter, medium: Path, ordinary_user: User
) -> None:
    above = ordinary_user.home / "theirs"
    (above / "mnt").mkdir(parents=True)
    ordinary_user.owns(above)
    shown = mount(medium, place=above / "mnt", user=ordinary_user)
    shown.expect_log("the worker failed")
    worker = shown.worker
    above.chmod(0)

    os.kill(worker, signal.SIGKILL)
    assert until(lambda: len(shown.processes) == 1)
    assert worker not in shown.processes
    assert not until(lambda: not shown.processes, seconds=1)  # somebody waits
    above.chmod(0o700)

    assert shown.has_ended()


@pytest.fixture
def covered(mount: Mounter, medium: Path, place: Path) -> Iterator[Mount]:
    """Return a mount over which somebody has mounted something else."""
    need_root()
    shown = mount(medium, place=place)
    assert run(["mount", "-t", "tmpfs", "none", str(place)]).returncode == 0
    (place / "theirs").touch()
    yield shown
    run(["umount", str(place)])


@pytest.mark.parametrize(
    ("number", "who"), [(signal.SIGKILL, "worker"), (signal.SIGTERM, "supervisor")]
)
def test_what_lies_over_a_mount_stays_and_the_mount_goes_when_that_has_gone(
    covered: Mount, number: signal.Signals, who: str
) -> None:
    if number == signal.SIGKILL:
        covered.expect_log("the worker failed")
    worker = covered.worker

    os.kill(getattr(covered, who), number)
    assert until(lambda: worker not in covered.processes)

    assert (covered.place / "theirs").exists()
    # For a moment it is held, to see what it is.
    assert until(lambda: run(["umount", str(covered.place)]).returncode == 0)
    assert covered.has_ended()


def test_a_number_that_another_mount_has_now_does_not_end_that(
    mount: Mounter, medium: Path
) -> None:
    shown = mount(medium)
    found = mountpoint.find_mount(shown.place)
    assert found is not None

    assert attachment.clear(found.device, if_dead=True)

    assert is_mounted(shown.place)
    assert len(shown.files()) == 1


def test_of_two_that_mount_on_a_folder_at_once_one_is_refused(
    mount: Mounter, medium: Path, place: Path
) -> None:
    # It mounts between the second one's look at the folder and its mount.
    first, shown = mount.adopt(medium, place), mount.adopt(medium, place)
    code = (
        "import os, subprocess; from dicomfs.mount import mountpoint; hold = mountpoint.hold;"
        f"mark = os.environ | {environment(first.mark)!r};"
        f"first = {[*COMMAND, 'mount', str(medium), str(place)]!r};"
        "mountpoint.hold = lambda *given:"
        " (hold(*given), subprocess.run(first, env=mark, check=True))[0]"
    )

    done = run([*changed(code), "mount", str(medium), str(place)], mark=shown.mark)

    assert (done.returncode, shown.processes) == (Exit.MOUNTPOINT_IN_USE, [])
    first.unmount()
    assert not mounting.is_mounted(place)


def test_a_supervisor_that_is_killed_while_it_mounts_leaves_nothing(
    mount: Mounter, medium: Path, place: Path
) -> None:
    shown = mount.adopt(medium, place)
    code = (
        "import os; from dicomfs.mount import attachment; attach = attachment.attach;"
        "attachment.attach = lambda *given: (attach(*given), os.kill(os.getpid(), 9))"
    )

    done = run([*changed(code), "mount", str(medium), str(place)], mark=shown.mark)

    assert done.returncode == Exit.WORKER_DIED
    assert shown.has_ended()
