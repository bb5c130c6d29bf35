"""The manual says what the command line does, and leads to what exists."""

import ast
import errno
import os
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from dicomfs.cli.codes import MEANINGS
from dicomfs.cli.complaints import TABLE
from dicomfs.errors import Problem
from dicomfs.findings import Kind
from dicomfs.mount.mountpoint import FSTYPE
from tests.support.mounting import ROOT, SAMPLES, dicomfs, run

COMMANDS: Final = (
    *("mount", "umount", "open", "tree", "catalogue", "check", "copy"),
    *("list", "doctor", "demo"),
)
README: Final = ROOT / "README.md"
DOCS: Final = ROOT / "docs"
# A person reads so much before anything else.
MOST_BYTES: Final = 8000
FIRST_SCREEN: Final = 45
# Every command has these.
_HELP: Final = {"-h", "--help"}

# What other programs say, and what stands in a message for a value.
_SAID_BY_OTHERS: Final = {
    *map(
        os.strerror, (errno.EACCES, errno.EBUSY, errno.EIO, errno.ENOENT, errno.ENOTSUP)
    ),
    os.strerror(errno.ENOTCONN),
    "option allow_other only allowed if 'user_allow_other' is set",
    "Package fuse3 was not found",
    "target is busy",
    "dcmsend",
}
_VALUES: Final = r"\.\.\.|/dev/fuse|fusermount3|SOURCE|: |\{\w+\}"

PAGES: Final = [README, *sorted(DOCS.rglob("*.md"))]


class Link(NamedTuple):
    """A link of a page: to a file, which is the page itself if empty, and a heading."""

    file: str
    heading: str


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def section(page: Path, title: str) -> str:
    """Return the section of *page* with this title, without the title."""
    found = re.search(
        rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)",
        text_of(page),
        re.MULTILINE | re.DOTALL,
    )
    assert found is not None, f"{named(page)} has no section {title}"
    return found[1]


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of all rows of tables in *text*, the heads of tables left out."""
    lines = re.findall(r"^\|(?!-)(.*)\|$", text, re.MULTILINE)
    heads = re.findall(r"^\|(.*)\|\n\|-", text, re.MULTILINE)
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        for line in lines
        if line not in heads
    ]


def without_code(text: str) -> str:
    """Return *text* without what is shown as code."""
    return re.sub(r"`[^`\n]*`|^    .*$", "", text, flags=re.MULTILINE)


def links_of(page: Path) -> list[Link]:
    """Return the links of *page* that lead to something in the project."""
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(text_of(page)))
    inside = [each for each in targets if not re.match(r"[a-z]+:", each)]
    return [
        Link(file, heading) for file, _, heading in (e.partition("#") for e in inside)
    ]


def anchors_of(page: Path) -> set[str]:
    """Return what links call the headings of *page*, as GitHub makes it of them."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings
    }


def target_of(page: Path, link: Link) -> Path:
    return (page.parent / link.file).resolve() if link.file else page


@cache
def options_of_help(command: str) -> set[str]:
    """Return all options that the help of *command* explains, long and short."""
    explained = re.findall(
        r"^ +(-.*?)(?=  |$)", dicomfs(command, "--help").stdout, re.MULTILINE
    )
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(explained))) - _HELP


# -- the README ------------------------------------------------------------------------


def test_the_readme_is_short() -> None:
    assert len(README.read_bytes()) <= MOST_BYTES


def test_the_first_screen_has_the_two_commands() -> None:
    first_screen = "\n".join(text_of(README).splitlines()[:FIRST_SCREEN])

    assert "scripts/dicomfs demo" in first_screen
    assert "scripts/test" in first_screen


def test_the_readme_says_what_dicomfs_is_not() -> None:
    text = text_of(README).replace("*", "").replace("\n", " ")

    assert "not a medical device" in text


@pytest.mark.parametrize("command", ["mount", "umount", "tree", "check"])
def test_the_readme_names_the_commands_that_people_need(command: str) -> None:
    assert f"dicomfs {command}" in text_of(README)


# -- options and exit codes ------------------------------------------------------------


def test_the_manual_has_every_exit_code_with_its_meaning() -> None:
    rows = rows_of(section(DOCS / "options.md", "Exit codes"))

    assert rows == [[str(code.value), meaning] for code, meaning in MEANINGS.items()]


def test_the_manual_says_of_every_finding_whether_it_is_a_fault() -> None:
    rows = rows_of(section(DOCS / "damaged.md", "What check finds"))

    assert rows == [
        [f"`{kind.code}`", kind.meaning, "fault" if kind.is_fault else "remark"]
        for kind in Kind
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_manual_has_every_option_of_a_command_and_no_other(command: str) -> None:
    rows = rows_of(section(DOCS / "options.md", command))

    told = {option for row in rows for option in re.findall(r"`(-[^`]+)`", row[0])}
    assert told == options_of_help(command)


def test_the_manual_names_no_option_that_does_not_exist() -> None:
    known = {"--version"}.union(*map(options_of_help, COMMANDS))
    shown = re.findall(r"dicomfs (?:mount|umount|open|tree|check)[^`\n#]*", all_text())

    assert shown
    assert {o for each in shown for o in re.findall(r"--[a-z][a-z-]+", each)} <= known


def all_text() -> str:
    return "\n".join(map(text_of, PAGES))


# -- messages --------------------------------------------------------------------------


@cache
def words_of_the_code() -> str:
    """Return all text that stands in the code of dicomfs, values left out."""
    trees = [ast.parse(text_of(path)) for path in (ROOT / "dicomfs").rglob("*.py")]
    constants = (
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return re.sub(r"\{\w+\}", "\n", "\n".join(constants))


def messages_explained(text: str) -> list[set[str]]:
    """Return the messages that tables in *text* explain, each in parts without values."""
    told = [say for row in rows_of(text) for say in re.findall("`([^`]+)`", row[0])]
    parts = ({part.strip(" ,") for part in re.split(_VALUES, say)} for say in told)
    return [each - _SAID_BY_OTHERS - {""} for each in parts]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "title"),
    [
        (README, "When something goes wrong"),
        (DOCS / "troubleshooting.md", "The medium"),
        (DOCS / "troubleshooting.md", "Images, archives and URLs"),
        (DOCS / "troubleshooting.md", "Several media"),
        (DOCS / "troubleshooting.md", "Mounting and unmounting"),
        (DOCS / "troubleshooting.md", "The command itself"),
        (DOCS / "troubleshooting.md", "In a mount"),
    ],
)
def test_every_message_that_is_explained_is_one_that_dicomfs_gives(
    page: Path, title: str
) -> None:
    parts = set().union(*messages_explained(section(page, title)))

    words = words_of_the_code()
    assert parts
    assert {each for each in parts if each not in words} == set()


@pytest.mark.parametrize("problem", Problem, ids=lambda problem: problem.name)
def test_the_manual_explains_every_message_that_has_words_of_its_own(
    problem: Problem,
) -> None:
    explained = messages_explained(text_of(DOCS / "troubleshooting.md"))

    words = re.sub(r"\{\w+\}", "", TABLE[problem].what)
    found = [each for each in explained if each and all(e in words for e in each)]
    assert found or not words


# -- links -----------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_of_a_page_leads_to_a_file_that_exists(page: Path) -> None:
    missing = [
        link.file for link in links_of(page) if not target_of(page, link).exists()
    ]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_to_a_heading_leads_to_one_that_exists(page: Path) -> None:
    missing = [
        link
        for link in links_of(page)
        if link.heading and link.heading not in anchors_of(target_of(page, link))
    ]

    assert missing == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, due = {README}, [README]
    while due:
        page = due.pop()
        leads_to = {target_of(page, link) for link in links_of(page)}
        new = {each for each in leads_to if each.suffix == ".md"} - reached
        reached |= new
        due += new

    assert set(PAGES) - reached == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_test_and_script_that_a_page_names_exists(page: Path) -> None:
    told = set(re.findall(r"(?<![\w/])(?:tests|scripts)/[\w/.-]*\w", text_of(page)))

    assert {each for each in told if not (ROOT / each).exists()} == set()


# -- the map of the house --------------------------------------------------------------

_MAP: Final = DOCS / "architecture.md"
_CODE: Final = ROOT / "dicomfs"
_GROUND: Final = "The ground"


def rooms_told() -> dict[str, set[str]]:
    """Return the modules that the map names, by room, in the order of the map."""
    sections = re.split(r"^### (.*)$", section(_MAP, "The rooms"), flags=re.MULTILINE)
    return {
        room: {row[0].strip("`") for row in rows_of(text)}
        for room, text in zip(sections[1::2], sections[2::2], strict=True)
    }


def modules_in(folder: Path, pattern: str) -> set[str]:
    """Return the modules below *folder*, without its packages themselves."""
    found = (path.relative_to(folder).with_suffix("") for path in folder.glob(pattern))
    return {path.as_posix() for path in found if path.name != "__init__"}


def layers() -> list[set[str]]:
    """Return the layers of the import contract, from the highest on."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if each["type"] == "layers")
    return [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]


def test_the_map_names_every_module_and_no_other() -> None:
    rooms = {path.parent.name for path in _CODE.glob("*/__init__.py")}

    there = {room: modules_in(_CODE / room, "**/*.py") for room in rooms}
    assert rooms_told() == there | {_GROUND: modules_in(_CODE, "*.py")}


def test_the_map_has_the_layers_of_the_import_contract() -> None:
    *above, ground = layers()
    rooms = list(rooms_told())

    for layer in above:
        assert set(rooms[: len(layer)]) == layer
        del rooms[: len(layer)]
    assert rooms == [_GROUND]
    assert rooms_told()[_GROUND] == ground


def test_the_drawing_has_the_layers_of_the_import_contract() -> None:
    drawn = re.findall(
        r"^    (\S.*)$", text_of(_MAP).partition("\n## ")[0], re.MULTILINE
    )

    assert [set(re.findall(r"\w+", line)) for line in drawn] == layers()


def test_every_module_that_the_trips_pass_exists() -> None:
    rooms = "|".join(rooms_told())
    told = set(re.findall(rf"`((?:{rooms})/[\w/]+)`", text_of(_MAP)))

    assert told
    assert {e for e in told if not (_CODE / e).with_suffix(".py").exists()} == set()


def test_every_noun_lives_where_the_map_says() -> None:
    for noun, module, _ in rows_of(section(_MAP, "Where each noun lives")):
        code = text_of((_CODE / module.strip("`")).with_suffix(".py"))

        assert re.search(rf"^(class )?{noun.strip('`')}\b", code, re.MULTILINE), noun


def test_every_symptom_leads_to_something_that_its_module_has() -> None:
    rows = rows_of(section(_MAP, "From a symptom to a module"))

    assert rows
    for symptom, module, name in rows:
        code = text_of((_CODE / module.strip("`")).with_suffix(".py"))
        begins = r"^(?: *(?:def|class) )?" + name.strip("`")
        assert re.search(rf"{begins}\b", code, re.MULTILINE), symptom


def test_what_others_write_to_disk_is_told_and_updatedb_kept_out() -> None:
    told = section(DOCS / "security.md", "What others write to disk")

    for place in ("~/.cache/thumbnails", "recently-used.xbel", "/etc/updatedb.conf"):
        assert place in told
    [left_out] = re.findall(r'PRUNEFS="(.*)"', told)
    assert FSTYPE in left_out.split()


def test_the_example_of_a_front_end_walks_a_medium() -> None:
    told = section(_MAP, "Where to add something")
    example = "\n".join(re.findall(r"^ {6}(\S.*| {4}.*)$", told, re.MULTILINE))
    assert "/media/cd" in example

    code = example.replace("/media/cd", str(SAMPLES))
    done = run([sys.executable, "-P", "-c", code], env={"PYTHONPATH": str(ROOT)})

    assert done.returncode == 0, done.stderr
    assert "Doe" in done.stdout
