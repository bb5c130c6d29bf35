"""The packages of Debian have all that belongs into them: see scripts/package."""

import fnmatch
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

from tests.support.mounting import (
    ROOT,
    SAMPLES,
    Mounter,
    need,
    need_root,
    run,
    tool_path,
)

PACKAGING: Final = ROOT / "packaging"
RULES: Final = PACKAGING / "debian/rules"
RELEASES: Final = ("12", "13")
UNITS: Final = ("media-patients.mount", "media-patients.automount")


def carried(release: str) -> dict[str, str]:
    """Return the versions of what comes along in a release, by name."""
    text = (PACKAGING / f"debian-{release}/wheels.txt").read_text("utf-8")
    return dict(re.findall(r"^([\w-]+)==(\S+) ", text, re.MULTILINE))


def listed(name: str) -> set[str]:
    """Return the words of a list in the rules."""
    text = RULES.read_text("utf-8").replace("\\\n", " ")
    [words] = re.findall(rf"^{name} = (.*)$", text, re.MULTILINE)
    return set(words.split())


def test_the_package_has_a_place_for_all_that_lies_in_share() -> None:
    there = {each.name for each in (ROOT / "share").iterdir()}

    assert there <= listed("KNOWN"), "give it a place in packaging/debian/rules"
    assert {e for e in listed("NEEDED") if not (ROOT / "share" / e).is_file()} == set()


@pytest.mark.parametrize("release", RELEASES)
def test_what_comes_along_is_what_dicomfs_needs(release: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = [Requirement(each) for each in project["dependencies"]]

    versions = carried(release)

    assert "pydicom" in versions
    assert release == "13" or {each.name for each in needed} <= versions.keys()
    for each in needed:
        assert each.name not in versions or each.specifier.contains(versions[each.name])


@pytest.mark.parametrize("release", RELEASES)
def test_everything_that_comes_along_has_its_digest_and_its_licence(
    release: str,
) -> None:
    text = (PACKAGING / f"debian-{release}/wheels.txt").read_text("utf-8")
    lines = [each for each in text.splitlines() if not each.startswith("#")]
    licences = (PACKAGING / "debian/copyright").read_text("utf-8")
    patterns = re.findall(r"wheels/\S+", licences)

    assert all(re.search(r" --hash=sha256:[0-9a-f]{64}$", each) for each in lines)
    for name in carried(release):
        file = f"wheels/{name.replace('-', '_')}-1.0"
        assert any(fnmatch.fnmatch(file, each) for each in patterns), name


@pytest.mark.parametrize("release", RELEASES)
def test_the_package_needs_no_compiler_when_it_is_installed(release: str) -> None:
    control = (PACKAGING / f"debian-{release}/control").read_text("utf-8")
    installed = control.partition("\nPackage:")[2]

    assert "fuse3," in installed
    assert not re.search(r"gcc|-dev\b|python3-pip|build-essential", installed)


def test_the_examples_of_systemd_are_sound(tmp_path: Path) -> None:
    need("systemd-analyze")
    for unit in UNITS:
        (tmp_path / unit).write_text((PACKAGING / "systemd" / unit).read_text())

    done = run(["systemd-analyze", "verify", *(str(tmp_path / e) for e in UNITS)])

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "script",
    [
        *("package", "release", "debian/roots.sh"),
        *("debian/build", "debian/try", "debian/follow", "debian/suite"),
        *("debian/saying.sh", "debian/container"),
    ],
)
def test_the_scripts_of_packages_are_well_formed(script: str) -> None:
    done = run(["bash", "-n", str(ROOT / "scripts" / script)])

    assert (done.returncode, done.stderr) == (0, "")


# -- the roots that packages are made and tried in -------------------------------------


def a_root(folder: Path) -> Path:
    """Make a root in *folder* that has no more than what a root is entered with."""
    for name in ("dev", "sys", "proc", "mnt", "run"):
        (folder / name).mkdir(parents=True)
    for tool in ("bash", "env", "umount"):
        found = shutil.which(tool, path=tool_path())
        assert found is not None
        libraries = re.findall(r"(/\S+) \(0x", run(["ldd", found]).stdout)
        for source, place in [
            (found, f"/usr/bin/{tool}"),
            *((e, e) for e in libraries),
        ]:
            copy = folder / place[1:]
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    return folder


@pytest.mark.mount
def test_what_is_unmounted_while_a_root_is_used_ends(
    mount: Mounter, tmp_path: Path
) -> None:
    need("unshare", "pivot_root", "ldd", "mount")
    need_root()
    shown = mount(SAMPLES)
    say = 'source scripts/debian/roots.sh; enter_root "$0" bash -c "echo here; read"'
    root = str(a_root(tmp_path / "root"))

    with subprocess.Popen(
        ["bash", "-euc", say, root],
        cwd=ROOT,
        env=os.environ | {"PATH": tool_path()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as inside:
        assert inside.stdout is not None
        assert inside.stdout.readline() == b"here\n"
        shown.unmount()  # and sees that its processes end
        assert inside.poll() is None
        inside.communicate(b"\n")
