"""Options and arguments as mount(8) gives them, without a mount."""

from pathlib import Path

import pytest

from dicomfs.cli import fstab, helper, main
from dicomfs.cli.codes import Exit
from dicomfs.errors import Failure, Problem
from dicomfs.sandbox import process

KNOWN = ("--allow-other", "--uid", "--password-file", "-o")


@pytest.mark.parametrize(
    ("listed", "long"),
    [
        ([], []),
        (["ro,nosuid,nodev,noexec"], []),
        (["defaults,user,noauto,nofail", "_netdev,comment=a"], []),
        (["x-systemd.idle-timeout=1min,X-mount.mkdir=0755"], []),
        (["allow_other,ro,uid=5"], ["--allow-other", "--uid=5"]),
        (["password-file=/a=b", "uid=1"], ["--password-file=/a=b", "--uid=1"]),
        ([",,uid=,"], ["--uid="]),
    ],
)
def test_options_of_a_mount_are_long_options_or_change_nothing(
    listed: list[str], long: list[str]
) -> None:
    assert [*fstab.as_long(listed, KNOWN)] == long


@pytest.mark.parametrize("option", ["nope", "remount", "o", "allow_others", "_uid=1"])
def test_an_option_that_nobody_knows_is_a_mistake(option: str) -> None:
    with pytest.raises(Failure) as caught:
        list(fstab.as_long([f"ro,{option}"], KNOWN))

    assert caught.value.problem is Problem.USAGE
    assert f"-o {option}: there is no such option" in str(caught.value.facts["reason"])


def test_an_option_that_nobody_knows_is_passed_over_if_it_may_be() -> None:
    assert [*fstab.as_long(["nope,uid=2"], KNOWN, is_sloppy=True)] == ["--uid=2"]


def test_the_nearest_option_is_named() -> None:
    with pytest.raises(Failure) as caught:
        list(fstab.as_long(["allow_others"], KNOWN))

    assert str(caught.value.facts["reason"]).endswith("; the nearest is allow-other")


@pytest.mark.parametrize(
    ("arguments", "is_meant"),
    [
        (["/dev/sr0", "/mnt", "-o", "rw,dev,suid"], True),
        (["mount", "/dev/sr0", "-o", "rw"], False),
        (["--help", "/mnt", "-o", "rw"], False),
        (["/dev/sr0", "/mnt"], False),
        (["mout", "a", "b"], False),
        ([], False),
    ],
)
def test_a_command_line_is_that_of_a_mount_helper_by_its_form(
    arguments: list[str], is_meant: bool
) -> None:
    assert helper.is_meant(arguments) is is_meant


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_is_one_of_mount(code: Exit) -> None:
    special = {Exit.OK: 0, Exit.USAGE: 1, Exit.INTERRUPTED: 8}

    assert helper.code_of(code) == special.get(code, 32)


@pytest.fixture
def keeps_what_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process, which runs other tests too, give up nothing for good."""
    monkeypatch.setattr(process, "forbid_dumps", lambda: None)


@pytest.mark.usefixtures("keeps_what_it_may")
@pytest.mark.parametrize("flags", [[], ["-s", "-n"], ["-t", "dicomfs", "-N", "/x"]])
def test_a_mount_is_feigned_wherever_the_flags_stand(
    tmp_path: Path, flags: list[str]
) -> None:
    arguments = ["-f", str(tmp_path), *flags, str(tmp_path), "-o", "rw,umask=022"]

    assert main.mount_helper(arguments) == 0


@pytest.mark.usefixtures("keeps_what_it_may")
@pytest.mark.parametrize(
    ("options", "code"), [("umask=9", 1), ("scan,index_only", 1), ("", 32)]
)
def test_a_failure_is_told_and_has_the_code_of_mount(
    tmp_path: Path, options: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(tmp_path / "none"), str(tmp_path), "-o", options]

    assert main.mount_helper(arguments) == code
    assert len(capsys.readouterr().err.splitlines()) == 2
