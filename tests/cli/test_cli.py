"""The command line: what it understands, what it says, and what it costs."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import pytest

from dicomfs import __version__
from dicomfs.cli.codes import MEANINGS, Exit
from tests.build.medium import image, leaf, patient, series, study, write_medium
from tests.support import mounting
from tests.support.mounting import (
    COMMAND,
    BarePython,
    Mount,
    Mounter,
    dicomfs,
    need,
    python,
    run,
)

COMMANDS: Final = (
    *("mount", "umount", "tree", "catalogue", "check"),
    *("list", "doctor", "demo"),
)
MOUNT_OPTIONS: Final = (
    "--allow-other",
    "--deadline",
    "--foreground",
    "--gid",
    "--index-only",
    "--log-file",
    "--uid",
    "--umask",
    "--verbose",
    "-f",
    "-o",
    "-v",
)


# -- help ------------------------------------------------------------------------------


def test_help_names_every_command_and_every_exit_code() -> None:
    done = dicomfs("--help")

    assert (done.returncode, done.stderr) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^ +{command}\s+\w", done.stdout, re.MULTILINE)
    for code, meaning in MEANINGS.items():
        assert re.search(rf"^ +{code.value} +{meaning}$", done.stdout, re.MULTILINE)
    assert "--version" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = dicomfs(command, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: dicomfs {command}")
    assert len(done.stdout.splitlines()) > 4


@pytest.mark.parametrize("option", MOUNT_OPTIONS)
def test_mount_explains_every_option(option: str) -> None:
    lines = dicomfs("mount", "--help", env={"COLUMNS": "200"}).stdout.splitlines()

    assert [line for line in lines if re.search(rf"^ .*{option}\b.*  \S", line)] != []


@pytest.mark.parametrize(
    ("command", "option"),
    [("tree", "--json"), ("tree", "--index-only"), ("umount", "-z")],
)
def test_other_commands_explain_their_options(command: str, option: str) -> None:
    assert option in dicomfs(command, "--help").stdout


# -- versions --------------------------------------------------------------------------


@pytest.mark.slow
def test_version_names_everything_that_matters() -> None:
    done = dicomfs("--version")

    told = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert (done.returncode, done.stderr) == (0, "")
    assert told["dicomfs"] == __version__
    assert told["pydicom"] == metadata.version("pydicom")
    assert told["Python"] == sys.version.split()[0]
    assert re.match(r"3\.\d+", told["pyfuse3"])
    assert re.match(r"3\.\d+", told["libfuse"])


@pytest.mark.slow
def test_version_works_where_little_is_installed(bare_python: BarePython) -> None:
    done = bare_python.dicomfs("--version")

    assert done.returncode == 0, done.stderr
    assert "pyfuse3 is not installed" in done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_who_has_seen_enough_of_versions_and_help_is_no_error(option: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as nobody_reads:
        done = subprocess.run(
            [*COMMAND, option],
            env=mounting.environment(mounting.new_mark()),
            stdout=nobody_reads,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert (done.returncode, done.stderr) == (0, b"")


# -- mistakes --------------------------------------------------------------------------

MISTAKES: Final = {
    "nothing": [],
    "no such command": ["look"],
    "no such option": ["mount", "--fast", "a", "b"],
    "an option cut short": ["mount", "--fore", "a", "b"],
    "mount without arguments": ["mount"],
    "a URL where the mountpoint should be": ["mount", "a", "http://localhost/b"],
    "umount without arguments": ["umount"],
    "tree without a source": ["tree"],
    "demo with too much": ["demo", "a"],
    "a umask that is not octal": ["mount", "--umask", "089", "a", "b"],
    "a umask that is too large": ["mount", "--umask", "1000", "a", "b"],
    "a umask below zero": ["mount", "--umask=-1", "a", "b"],
    "a uid that is a name": ["mount", "--uid", "root", "a", "b"],
    "a uid below zero": ["mount", "--uid=-1", "a", "b"],
    "a uid that is too large": ["mount", "--uid=4294967296", "a", "b"],
    "a gid below zero": ["mount", "--gid=-5", "a", "b"],
    "a deadline of nothing": ["mount", "--deadline", "0", "a", "b"],
    "a deadline without end": ["mount", "--deadline", "inf", "a", "b"],
    "a deadline that is no number": ["mount", "--deadline", "nan", "a", "b"],
    "-o nonsense": ["mount", "-o", "nonsense", "a", "b"],
    "-o uid without a number": ["mount", "-o", "uid=", "a", "b"],
    "-o uid with a name": ["mount", "-o", "ro,uid=root", "a", "b"],
    "-o uid below zero": ["mount", "-o", "uid=-1", "a", "b"],
    "-o umask that is not octal": ["mount", "-o", "umask=9", "a", "b"],
    "-o without a value": ["mount", "a", "b", "-o"],
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_two_lines(tmp_path: Path, mistake: str) -> None:
    done = dicomfs(*MISTAKES[mistake], cwd=tmp_path)

    assert done.returncode == Exit.USAGE, done.stderr
    assert done.stdout == ""
    what, mend = done.stderr.splitlines()
    assert re.match(r"dicomfs: \S", what)
    assert re.match(r"dicomfs: to mend it: \S", mend)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["mout", "a"], "there is no command mout; the nearest is mount"),
        (["mount", "--scam", "a"], "there is no option --scam; the nearest is --scan"),
        (["tree", "--jsn=1", "a"], "there is no option --jsn; the nearest is --json"),
        (["mount", "-o", "umsk=0", "a"], "no such option; the nearest is umask"),
        (["/media/cd"], "there is no command /media/cd"),
        (["tree", "--zzzzzz", "a"], "there is no option --zzzzzz"),
    ],
)
def test_what_may_have_been_meant_is_named(arguments: list[str], nearest: str) -> None:
    assert dicomfs(*arguments).stderr.splitlines()[0].endswith(nearest)


def test_without_a_command_it_says_what_is_missing() -> None:
    assert "command" in dicomfs().stderr.splitlines()[0].lower()


@pytest.mark.parametrize(
    "mistake", ["a umask that is not octal", "a deadline of nothing"]
)
def test_a_mistake_is_told_without_names_of_the_code(mistake: str) -> None:
    assert not re.search(r"\b_\w", dicomfs(*MISTAKES[mistake]).stderr)


@pytest.mark.parametrize(
    "given",
    ["ro", "rw,nosuid,nodev,noexec", "defaults,nofail,user", "_netdev,x-systemd.mount"],
)
def test_options_that_every_mount_knows_are_accepted(
    tmp_path: Path, given: str
) -> None:
    done = dicomfs("mount", "-o", given, tmp_path / "missing", tmp_path / "mnt")

    assert done.returncode == Exit.SOURCE_MISSING


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["tree", "a", "--json", "--", "-x"]])
def test_what_follows_two_dashes_is_a_path(
    tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "a").mkdir()

    done = dicomfs(*arguments, cwd=tmp_path)

    assert done.returncode == Exit.SOURCE_MISSING
    assert done.stderr.startswith(f"dicomfs: there is no {tmp_path}/-x\n")


@pytest.mark.slow
def test_a_mountpoint_may_begin_with_a_dash(tmp_path: Path) -> None:
    done = dicomfs("mount", ".", "--index-only", "--", "-mnt", cwd=tmp_path)

    assert done.returncode == Exit.MOUNTPOINT_OVERLAPS


def test_an_option_that_does_not_exist_is_one_before_two_dashes(tmp_path: Path) -> None:
    done = dicomfs("tree", "a", "--json", "--nope", "--", "-x", cwd=tmp_path)

    assert done.returncode == Exit.USAGE


@pytest.mark.slow
def test_a_password_file_that_cannot_be_read_is_a_mistake_for_check_too(
    tmp_path: Path,
) -> None:
    done = dicomfs("check", "--password-file", tmp_path / "nope", tmp_path)

    assert done.returncode == Exit.USAGE


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\u202eb"])
def test_a_path_is_told_on_one_line_and_does_nothing_to_the_terminal(
    tmp_path: Path, name: str
) -> None:
    done = dicomfs("tree", tmp_path / name)

    assert done.returncode == Exit.SOURCE_MISSING
    assert len(done.stderr.splitlines()) == 2
    assert name not in done.stderr
    assert ascii(name)[1:-1] in done.stderr


# -- what it is called -----------------------------------------------------------------


def test_messages_name_the_command_as_it_was_installed(tmp_path: Path) -> None:
    usage = dicomfs("mount", "--help").stdout
    mistake = dicomfs("mount", cwd=tmp_path).stderr

    assert usage.startswith("usage: dicomfs mount ")
    assert "to mend it: see dicomfs mount --help\n" in mistake


def test_messages_name_the_command_as_a_launcher_was_called(tmp_path: Path) -> None:
    called = {"DICOMFS_COMMAND": "scripts/dicomfs"}
    usage = dicomfs("mount", "--help", env=called).stdout
    mistakes = [
        dicomfs(*mistake, env=called, cwd=tmp_path).stderr
        for mistake in (["mount"], ["mount", "--nope"], ["mount", "-o", "nope", "a"])
    ]

    assert usage.startswith("usage: scripts/dicomfs mount ")
    for mistake in mistakes:
        assert "to mend it: see scripts/dicomfs mount --help\n" in mistake


def test_a_command_with_a_blank_is_named_as_a_shell_takes_it() -> None:
    done = dicomfs("nope", env={"DICOMFS_COMMAND": "my scripts/100%/dicomfs"})

    assert "see 'my scripts/100%/dicomfs' --help" in done.stderr


def test_messages_name_the_launcher_of_a_clone(tmp_path: Path) -> None:
    scripts, installed = tmp_path / "scripts", tmp_path / ".venv/bin/dicomfs"
    scripts.mkdir()
    installed.parent.mkdir(parents=True)
    shutil.copy(mounting.ROOT / "scripts/dicomfs", scripts)
    (scripts / "setup").touch()
    installed.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    installed.chmod(0o755)

    done = run(["scripts/dicomfs", "umount"], cwd=tmp_path)

    assert "to mend it: see scripts/dicomfs umount --help\n" in done.stderr


@pytest.mark.mount
def test_a_mount_says_how_to_end_it_with_the_same_command(
    mount: Mounter, medium: Path
) -> None:
    shown = mount(medium, env={"DICOMFS_COMMAND": "scripts/dicomfs"})
    again = dicomfs("mount", medium, shown.place)

    assert f"to end it: scripts/dicomfs umount {shown.place}\n" in shown.said
    assert f"end that mount first: dicomfs umount {shown.place}\n" in again.stderr


# -- cost ------------------------------------------------------------------------------

HEAVY: Final = {
    "pydicom",
    "pyfuse3",
    "trio",
    "numpy",
    "subprocess",
    "asyncio",
    "logging",
    "json",
    "tempfile",
    "importlib.metadata",
}


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], set()),
        (["mount", "--help"], set()),
        (["mount"], set()),
        (["umount", "/"], {"subprocess"}),
    ],
    ids=["help", "help of a command", "a mistake", "umount"],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(
    arguments: list[str], allowed: set[str]
) -> None:
    told = python(
        "import contextlib, io, json, sys\n"
        "before = set(sys.modules)\n"
        "from dicomfs.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    with contextlib.redirect_stderr(io.StringIO()):\n"
        "        with contextlib.suppress(SystemExit):\n"
        "            main(sys.argv[1:])\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))",
        *arguments,
    )

    assert set(json.loads(told)) & HEAVY <= allowed


@pytest.mark.slow
def test_tree_loads_no_fuse(samples: Path) -> None:
    told = python(
        "import sys\n"
        "from dicomfs.cli.parser import parsed\n"
        "from dicomfs.cli.tree import run\n"
        "run(parsed(['tree', sys.argv[1]]))\n"
        "print('loaded', {'pyfuse3', 'trio'} & set(sys.modules))",
        samples,
    )

    assert told.splitlines()[-1] == "loaded set()"


# -- tree ------------------------------------------------------------------------------


def paths_of(text: str) -> list[str]:
    """Return the paths that a drawn tree shows; folders are told by what follows."""
    paths: list[str] = []
    above: list[str] = []
    for line in text.splitlines():
        drawn = re.match(r"((?:│   |    )*)(?:├── |└── )(.*)$", line)
        assert drawn is not None, line
        above[len(drawn[1]) // 4 :] = [drawn[2]]
        paths.append("/".join(above))
    return sorted(paths)


def entries_of(
    entries: list[dict[str, Any]], above: str = ""
) -> Iterator[dict[str, Any]]:
    """Yield the entries of a tree in JSON, each with its path."""
    for entry in entries:
        path = f"{above}{entry['name']}"
        yield {**entry, "path": path}
        yield from entries_of(entry.get("entries", []), f"{path}/")


@pytest.mark.mount
def test_tree_shows_what_a_mount_shows(sample_mount: Mount, samples: Path) -> None:
    done = dicomfs("tree", samples / "DICOMDIR")

    assert (done.returncode, done.stderr) == (0, "")
    mounted = sorted(path.rstrip("/") for path in sample_mount.structure())
    assert paths_of(done.stdout) == mounted


@pytest.mark.mount
def test_tree_in_json_has_what_a_mount_has(sample_mount: Mount, samples: Path) -> None:
    done = dicomfs("tree", "--json", samples)
    told = json.loads(done.stdout)

    assert told["schema"] == 2
    found = {each["path"]: each for each in entries_of(told["entries"])}
    assert found.keys() == {path.rstrip("/") for path in sample_mount.structure()}
    for path, entry in found.items():
        status = (sample_mount.place / path).stat()
        assert entry["inode"] == str(status.st_ino)
        assert entry["mtime_ns"] == status.st_mtime_ns
        if entry["type"] == "file":
            assert entry["size"] == status.st_size


@pytest.mark.slow
def test_tree_works_where_pyfuse3_and_trio_are_missing(
    bare_python: BarePython, samples: Path
) -> None:
    lacking = bare_python.run(
        "import importlib.util as u; print(u.find_spec('pyfuse3'), u.find_spec('trio'))"
    )
    done = bare_python.dicomfs("tree", samples / "DICOMDIR")

    assert lacking.stdout == "None None\n"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == dicomfs("tree", samples).stdout


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    """Return a medium with a name in several scripts, and a file that is missing."""
    lost = leaf("SR DOCUMENT", "1.2.3.5", number=2, path=None, file="IMAGES/LOST")
    of_series = series("1.2.3", [image("1.2.3.4"), lost], header_description="Lung")
    who = patient(
        "Müller^Jürgen=山田^太郎",
        "7",
        [study("1.2", [of_series])],
        SpecificCharacterSet="ISO_IR 192",
    )
    write_medium(tmp_path / "medium", [who])
    return tmp_path / "medium"


@pytest.mark.slow
def test_tree_says_which_files_are_missing(medium: Path) -> None:
    lines = dicomfs("tree", medium).stdout.splitlines()
    told = json.loads(dicomfs("tree", "--json", medium).stdout)

    (line,) = [line for line in lines if "0002" in line]
    assert line.endswith("[No such file or directory]")
    (entry,) = [e for e in entries_of(told["entries"]) if e["name"].startswith("0002")]
    assert (entry["size"], entry["error"]) == (0, "No such file or directory")


@pytest.mark.slow
def test_tree_opens_no_instance_if_it_is_not_to(medium: Path) -> None:
    assert "001 CT Lung" in dicomfs("tree", medium).stdout
    assert "Lung" not in dicomfs("tree", "--index-only", medium).stdout


@pytest.mark.slow
@pytest.mark.parametrize("source", ["medium/DICOMDIR", "medium/", "./medium", "medium"])
def test_tree_takes_the_source_in_any_form(medium: Path, source: str) -> None:
    done = dicomfs("tree", source, cwd=medium.parent)

    assert done.stdout == dicomfs("tree", medium).stdout != ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=["ASCII, without Python's help", "C", "ASCII", "Latin-1"],
)
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "JSON"])
def test_tree_shows_what_it_can_where_letters_are_missing(
    medium: Path, env: dict[str, str], options: list[str]
) -> None:
    done = dicomfs("tree", *options, medium, env=env)

    assert (done.returncode, done.stderr) == (0, "")
    assert "(7)" in done.stdout
    assert "0001.dcm" in done.stdout


@pytest.mark.slow
def test_json_is_utf_8_whatever_the_locale(medium: Path) -> None:
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    told = json.loads(dicomfs("tree", "--json", medium, env=env).stdout)

    assert told["entries"][0]["name"] == "Müller, Jürgen 山田 太郎 (7)"


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "JSON"])
def test_a_reader_who_has_seen_enough_is_no_error(
    tmp_path: Path, options: list[str]
) -> None:
    images = [image(f"1.2.3.{n}", number=n, path=None) for n in range(3000)]
    of_study = study("1.2", [series("1.2.3", images)])
    write_medium(tmp_path / "medium", [patient("Doe", "1", [of_study])])
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [*COMMAND, "tree", *options, str(tmp_path / "medium")],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=mounting.PATIENCE,
        env=mounting.environment(mounting.new_mark()),
        check=False,
    )

    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_full_disk_is_told_in_two_lines(medium: Path) -> None:
    need("/dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "tree", str(medium)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=mounting.PATIENCE,
            # Python must not flush each line: the last of them is what counts.
            env=mounting.environment(mounting.new_mark(), {"PYTHONUNBUFFERED": ""}),
            check=False,
        )

    assert done.returncode == Exit.DESTINATION
    [what, how] = done.stderr.splitlines()
    assert "output cannot be written" in what
    assert "room" in how


# -- streams ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "stream", ["0<&-", "1>&-", "2>&-"], ids=["stdin", "stdout", "stderr"]
)
def test_a_closed_stream_is_no_reason_to_crash(medium: Path, stream: str) -> None:
    done = run(["sh", "-c", f'"$@" {stream}', "sh", *COMMAND, "tree", str(medium)])

    assert "Traceback" not in done.stderr
    assert done.returncode in {Exit.OK, Exit.UNEXPECTED}


@pytest.mark.slow
def test_a_path_that_is_no_utf_8_is_named_all_the_same(tmp_path: Path) -> None:
    missing = tmp_path / os.fsdecode(b"\xff\xfe")

    done = dicomfs("tree", missing)

    assert done.returncode == Exit.SOURCE_MISSING
    assert len(done.stderr.splitlines()) == 2
