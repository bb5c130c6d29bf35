"""What is said of a machine: what it lacks, and the line that mends it."""

import errno
import os
import resource
from pathlib import Path

import pytest

from dicomfs.cli import doctor, machine
from dicomfs.cli.codes import Exit
from dicomfs.cli.machine import Sign
from dicomfs.cli.parser import parsed
from dicomfs.errors import Failure, Problem
from dicomfs.media.mountinfo import Mount
from dicomfs.mount import attachment, mountpoint
from dicomfs.sandbox import confine
from tests.support.mounting import BarePython, dicomfs, need


def seen(words: str) -> Sign:
    """Return the one sign that has *words*."""
    (found,) = (sign for sign in machine.signs() if words in sign.what)
    return found


def is_seen(words: str) -> bool:
    return any(words in sign.what for sign in machine.signs())


@pytest.fixture(autouse=True)
def sandboxed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be given up: what the tests ask for is quicker without."""
    monkeypatch.setattr(machine, "_confined", list)


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be an ordinary user."""
    monkeypatch.setattr(os, "getuid", lambda: 1)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the files that are looked at in a folder, none of them there."""
    for name in (
        "FUSE_CONF",
        "UPDATEDB_CONF",
        "APPARMOR",
        "FUSERMOUNT_PROFILE",
        "CONFINEMENT",
    ):
        monkeypatch.setattr(machine, f"_{name}", tmp_path / name)
    return tmp_path


# -- the command -----------------------------------------------------------------------


@pytest.mark.slow
def test_a_machine_that_can_mount_is_told_to_be_able_to() -> None:
    need("fusermount3", "/dev/fuse")

    done = dicomfs("doctor")

    assert (done.returncode, done.stderr) == (0, "")
    *_, verdict = done.stdout.splitlines()
    assert verdict.startswith("dicomfs can mount here")
    assert "ok       the process that serves a mount can be loaded\n" in done.stdout
    assert "sandbox" in done.stdout


@pytest.mark.slow
def test_what_is_missing_is_told_with_the_line_that_mends_it(
    bare_python: BarePython,
) -> None:
    done = bare_python.dicomfs("doctor")

    assert (done.returncode, done.stderr) == (Exit.FAULTS, "")
    lines = done.stdout.splitlines()
    mend = lines[lines.index("missing  pyfuse3 is not installed") + 1]
    assert mend.startswith("         to mend it: install it: ")
    assert lines[-1].startswith("dicomfs cannot mount here: ")


def test_notes_are_no_reason_not_to_mount(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "signs", lambda: [Sign("a"), Sign("b", "mend b")])

    assert doctor.run(parsed(["doctor"])) == Exit.OK
    assert capsys.readouterr().out == (
        "ok       a\nnote     b\n         to mend it: mend b\n\n"
        "dicomfs can mount here; see the notes\n"
    )


# -- signs -----------------------------------------------------------------------------


def test_each_part_of_fuse_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fusermount() -> str:
        raise Failure(Problem.NO_FUSERMOUNT, name="fusermount3")

    monkeypatch.setattr(attachment, "FUSE_DEVICE", Path("/nowhere/fuse"))
    monkeypatch.setattr(attachment, "fusermount", fusermount)

    assert seen("/nowhere/fuse cannot be opened: No such file").is_missing
    assert seen("fusermount3 is not installed").is_missing


def test_the_protections_that_a_kernel_lacks_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking = ["Landlock: Function not implemented", "seccomp: Invalid argument"]
    monkeypatch.setattr(machine, "_confined", lambda: lacking)

    assert "lsm=" in seen("the sandbox lacks Landlock").mend
    assert seen("the sandbox lacks seccomp").state == "note"


def test_what_really_is_given_up_is_what_a_worker_gives_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()

    def fail(_: object) -> None:
        raise OSError(errno.ENOSYS, "none here")

    monkeypatch.setattr(confine, "_deny", fail)

    assert seen("the sandbox lacks Landlock: none here").mend
    # A child gave it up, and not this process.
    assert Path("/etc/passwd").read_bytes()


@pytest.mark.parametrize("error", [ImportError("no such symbol", name="pyfuse3"), None])
def test_a_worker_that_cannot_be_loaded_is_missing(
    monkeypatch: pytest.MonkeyPatch, error: ImportError | None
) -> None:
    def fail() -> list[str]:
        if error is None:
            os._exit(1)
        raise error

    monkeypatch.setattr(machine, "_confined", fail)

    assert seen("pyfuse3 cannot be imported").is_missing


@pytest.mark.parametrize(
    ("conf", "is_allowed"),
    [("user_allow_other\n", True), ("#user_allow_other\n", False), ("", False)],
)
def test_whether_a_user_may_let_others_in_is_told(
    files: Path, user: None, conf: str, is_allowed: bool
) -> None:
    del user
    (files / "FUSE_CONF").write_text(f"# mount_max = 5\n{conf}")

    assert (seen("--allow-other").state == "ok") is is_allowed


@pytest.mark.parametrize(
    ("conf", "is_told"),
    [
        ('PRUNEFS="NFS fuse.sshfs"\n', True),
        ('PRUNEFS = "NFS fuse.dicomfs nfs4"\n', False),
        ("PRUNE_BIND_MOUNTS=yes\n", True),
    ],
)
def test_that_locate_finds_names_is_told(
    files: Path, monkeypatch: pytest.MonkeyPatch, conf: str, is_told: bool
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    (files / "UPDATEDB_CONF").write_text(conf)

    assert is_seen("locate finds names") is is_told


def test_apparmor_is_told_where_it_is_enabled(files: Path) -> None:
    (files / "FUSERMOUNT_PROFILE").touch()
    (files / "CONFINEMENT").write_text("docker-default (enforce)\n")
    assert not is_seen("AppArmor")

    (files / "APPARMOR").write_text("Y\n")

    assert "apparmor=unconfined" in seen("AppArmor confines this process").mend
    assert "/etc/apparmor.d/local" in seen("AppArmor lets fusermount3").mend


def test_a_process_that_is_not_confined_is_no_reason_for_a_note(files: Path) -> None:
    (files / "APPARMOR").write_text("Y\n")
    (files / "CONFINEMENT").write_text("unconfined\n")

    assert not is_seen("AppArmor")


def test_a_user_whose_programs_get_no_rights_cannot_mount(
    tmp_path: Path, user: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del user
    (tmp_path / "fusermount3").touch(mode=0o755)
    (tmp_path / "status").write_text("NoNewPrivs:\t1\n")
    monkeypatch.setattr(machine, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(attachment, "fusermount", lambda: str(tmp_path / "fusermount3"))

    assert seen("no program gets more rights").is_missing
    assert seen("does not run as root").mend == f"sudo chmod u+s {tmp_path}/fusermount3"


def test_root_without_the_right_to_mount_cannot_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    (tmp_path / "status").write_text("CapEff:\t00000000a80425fb\nNoNewPrivs:\t0\n")
    monkeypatch.setattr(machine, "_STATUS", tmp_path / "status")

    assert "--cap-add SYS_ADMIN" in seen("CAP_SYS_ADMIN").mend


def test_limits_that_are_low_are_told(
    files: Path, user: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del user
    (files / "FUSE_CONF").write_text("mount_max = 1\n")
    mine = Mount(b"/mnt", "0:45", "fuse.sshfs", "rw,user_id=1,group_id=1")
    monkeypatch.setattr(machine, "mounts", lambda: iter([mine]))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 10))

    assert seen("you have 1 mount of FUSE").is_missing
    assert seen("10 open files").state == "note"


def test_libraries_that_are_missing_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    names = (("zlib", "packed", "x"), ("no_such", "URLs", "{pip} 'dicomfs[remote]'"))
    monkeypatch.setattr(machine, "_LIBRARIES", names)

    assert seen("packed can be read").state == "ok"
    mend = seen("URLs cannot be read: no_such is missing").mend
    assert mend.endswith(" -m pip install 'dicomfs[remote]'")


def test_a_dead_mount_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = Mount(b"/a b", "0:45", "fuse.dicomfs", f"ro,user_id={os.getuid()}")
    monkeypatch.setattr(machine, "mounts", lambda: iter([dead]))
    monkeypatch.setattr(mountpoint, "is_stale", lambda _: True)

    assert seen("/a b holds a dead mount").mend == "fusermount3 -u '/a b'"
