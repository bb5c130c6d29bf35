"""Tar archives as media: members read where they lie, or refused one by one."""

import errno
import io
import os
import random
import tarfile
import tracemalloc
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from dicomfs.errors import CutOffError, MediumError
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.findings import Kind
from dicomfs.media.formats import Ways, formats_of
from dicomfs.media.medium import Place
from dicomfs.media.tar.archive import Tar, recognises
from dicomfs.media.zip.archive import Zip
from dicomfs.source.source import BytesSource, Source
from tests.build import tars
from tests.build.archives import STORED, some_bytes, zipped
from tests.build.medium import image, patient, series, study, write_medium
from tests.build.tars import BLOCK, GNU, OLD, Member
from tests.support.amounts import part_of
from tests.support.mounting import need, run
from tests.support.trees import CountingSource, folders_in

_MUTANTS: Final = part_of(2_000)
_MIDDLE: Final = "D" * 90 + "/" + "M" * 90
_LONG: Final = "D" * 90 + "/" + "E" * 90 + "/" + "F" * 100
FILES: Final = {
    "DICOMDIR": some_bytes(1, 1_000),
    "DICOM/A": some_bytes(2, 70_000),
    "DICOM/B": b"",
    _LONG: b"of a long name",
    "Bilder/Müller": b"not ASCII",
}


def opened(data: bytes | Source) -> Tar:
    return Tar(BytesSource(data) if isinstance(data, bytes) else data)


def place(name: str | bytes) -> Place:
    return tuple(os.fsencode(name).split(b"/"))


def names(archive: Tar, folder: Place = ()) -> list[str]:
    """Return the paths of all files below *folder*, in order."""
    folders = folders_in(archive, folder)
    found = [
        os.fsdecode(b"/".join((*folder, name)))
        for name in archive.names(folder)
        if name not in folders
    ]
    for name in folders:
        found += names(archive, (*folder, name))
    return sorted(found)


def contents(archive: Tar) -> dict[str, bytes]:
    return {name: read(archive, name) for name in names(archive)}


def read(archive: Tar, name: str | bytes) -> bytes:
    """Return all bytes of a member, if it has a status."""
    size = archive.status(place(name)).size
    source = archive.open(place(name))
    assert source.size == size
    return source.read_at(0, size)


def error_of(archive: Tar, name: bytes) -> OSError:
    """Return why a member has no status, which each way to it has to agree on."""
    where = place(name)
    [found] = archive.statuses(where[:-1], [where[-1]])
    assert isinstance(found, OSError)
    with pytest.raises(OSError, match=r".") as caught:
        archive.status(where)
    assert str(caught.value) == str(found)
    return found


def _files(*, is_short: bool) -> dict[str, bytes]:
    """Return files, with a name that only some formats have if it need not be short."""
    files = {**FILES, _MIDDLE: b"of a name in two parts"}
    if is_short:
        del files[_LONG]
    return files


# -- what is read ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
def test_members_are_what_the_standard_library_wrote(form: int) -> None:
    files = _files(is_short=form == tarfile.USTAR_FORMAT)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as out:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_600_000_000
            out.addfile(info, io.BytesIO(data))
    archive = opened(made.getvalue())

    assert contents(archive) == files
    assert archive.status((b"DICOMDIR",)).mtime_ns == 1_600_000_000 * 10**9
    assert list(archive.findings()) == []


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_members_are_what_tar_wrote(form: str, tmp_path: Path) -> None:
    need("tar")
    files = _files(is_short=form in {"v7", "ustar"})
    if form == "v7":
        del files[_MIDDLE]
    for name, data in files.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    packed = ["tar", f"--format={form}", "-C", str(tmp_path / "in"), "-cf"]
    done = run([*packed, str(tmp_path / "out.tar"), "."])
    assert done.returncode == 0, done.stderr

    archive = opened((tmp_path / "out.tar").read_bytes())

    assert contents(archive) == files
    assert list(archive.findings()) == []


def test_a_member_is_read_in_place() -> None:
    source = CountingSource(tars.archive([Member(b"A", bytes(10**6)), Member(b"B")]))
    archive = opened(source)
    assert source.bytes_read < 10 * BLOCK

    assert archive.open((b"A",)).read_at(500_000, 10) == bytes(10)
    assert source.reads[-1] == (BLOCK + 500_000, 10)


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ([Member(b"A", b"some", kind=b"\0", magic=OLD)], b"A"),
        ([Member(b"A", b"some", kind=b"7")], b"A"),
        ([Member(b"B", b"some", fields={"prefix": b"A"})], b"A/B"),
        ([tars.long_name(b"N" * 200), Member(b"N" * 100, b"some")], b"N" * 200),
        ([tars.pax({"path": b"P" * 200}), Member(b"P" * 100, b"some")], b"P" * 200),
        ([tars.pax({"path": b"P"}, b"X"), Member(b"Q", b"some")], b"P"),
        ([tars.pax({"comment": b"c"}, b"g"), Member(b"A", b"some")], b"A"),
        ([Member(b"LABEL", kind=b"V"), Member(b"A", b"some")], b"A"),
        ([Member(b"A", b"some", fields={"size": b"4 "})], b"A"),
        ([Member(b"A", b"some", fields={"size": b"          4\0"})], b"A"),
        ([Member(b"A", b"some", fields={"size": tars.binary(4)})], b"A"),
        (
            [tars.pax({"size": b"4"}), Member(b"A", b"some", fields={"size": b"0"})],
            b"A",
        ),
        ([Member(b"A", b"some"), bytes(BLOCK), Member(b"B", b"b")], b"A"),
        ([Member("Ä".encode("latin-1"), b"some", magic=GNU)], b"\xc4"),
    ],
)
def test_a_member_is_what_its_header_says(
    members: list[Member | bytes], name: bytes
) -> None:
    archive = opened(tars.archive(members))

    assert read(archive, name) == b"some"
    assert list(archive.findings()) == []


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"mtime": b"00000000017\0"}, 15),
        ({"mtime": tars.binary(15)}, 15),
        ({"mtime": b"\xff" * 12}, 0),
        ({"mtime": b"nonsense"}, 0),
    ],
)
def test_the_time_of_a_member_is_that_of_its_header(
    fields: Mapping[str, bytes], seconds: int
) -> None:
    archive = opened(tars.archive([Member(b"A", fields=fields)]))

    assert archive.status((b"A",)).mtime_ns == seconds * 10**9


def test_the_time_of_pax_has_fractions() -> None:
    members = [tars.pax({"mtime": b"1600000000.25"}), Member(b"A")]

    archive = opened(tars.archive(members))

    assert archive.status((b"A",)).mtime_ns == 1_600_000_000_250_000_000


def test_a_checksum_of_signed_bytes_is_one_too() -> None:
    member = Member(b"\xe4\xf6\xfc", b"some")
    block = bytearray(member.blocks())
    total = int(block[148:154], 8)
    block[148:156] = b"%06o\0 " % (total - 3 * 256)

    assert read(opened(bytes(block) + tars.END), b"\xe4\xf6\xfc") == b"some"


def test_hard_links_are_the_files_that_they_name() -> None:
    members = [
        Member(b"DICOM/A", b"some"),
        Member(b"B", kind=b"1", link=b"DICOM/A"),
        Member(b"C", kind=b"1", link=b"./B"),
        tars.pax({"linkpath": b"DICOM/A"}),
        Member(b"D", kind=b"1", link=b"no"),
    ]

    found = contents(opened(tars.archive(members)))

    assert found == dict.fromkeys(("DICOM/A", "B", "C", "D"), b"some")


@pytest.mark.parametrize("link", [b"", b"NONE", b"A", b"LATER", b"../X", b"DIR", b"S"])
def test_a_hard_link_to_what_is_not_there_is_refused(link: bytes) -> None:
    archive = opened(
        tars.archive(
            [
                Member(b"DIR", kind=b"5"),
                Member(b"S", kind=b"2", link=b"/etc/passwd"),
                Member(b"A", kind=b"1", link=link),
                Member(b"LATER", b"later"),
            ]
        )
    )

    assert error_of(archive, b"A").errno == errno.EIO
    assert read(archive, b"LATER") == b"later"


@pytest.mark.parametrize("kind", [b"2", b"3", b"4", b"6"])
def test_links_devices_and_pipes_are_no_files(kind: bytes) -> None:
    members = [Member(b"A", kind=kind, link=b"/etc/passwd"), Member(b"B", b"b")]
    archive = opened(tars.archive(members))

    assert error_of(archive, b"A").errno == errno.EINVAL
    with pytest.raises(OSError, match="not a regular file"):
        archive.open((b"A",))
    assert read(archive, b"B") == b"b"


def test_of_members_with_one_name_the_last_is_shown() -> None:
    members = [Member(b"A", b"old"), Member(b"B", b"b"), Member(b"./A", b"new")]
    archive = opened(tars.archive(members))

    assert contents(archive) == {"A": b"new", "B": b"b"}
    assert archive.left_out == {"a name that a later member has, too": 1}


def test_folders_need_no_members_of_their_own() -> None:
    members = [Member(b"./", kind=b"5"), Member(b"X/Y/", kind=b"5"), Member(b"A/B/C")]
    old = Member(b"OLD/", kind=b"\0", magic=OLD)
    archive = opened(tars.archive([*members, old]))

    assert sorted(folders_in(archive, ())) == [b"A", b"OLD", b"X"]
    assert archive.names((b"X", b"Y")) == []
    with pytest.raises(FileNotFoundError):
        archive.names((b"NONE",))
    with pytest.raises(NotADirectoryError):
        archive.names((b"A", b"B", b"C"))


def test_a_medium_in_a_tar_archive_has_its_file_set(tmp_path: Path) -> None:
    above = study("1.2.3", [series("1.2.3.4", [image("1.2.3.4.5")])])
    write_medium(tmp_path / "in", [patient("Doe^Jane", "1", [above])])
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as out:
        out.add(tmp_path / "in", "portal")

    [file_set] = open_file_sets(opened(made.getvalue()))

    assert file_set.place == (b"portal", b"DICOMDIR")


def test_a_tar_archive_that_ends_with_a_zip_archive_is_a_tar_archive() -> None:
    inner = zipped({"A": b"a"}, STORED)
    source = BytesSource(tars.archive([Member(b"in.zip", inner)], end=b""))

    media = [form.medium(source, Ways()) for form in formats_of(source)]

    assert isinstance(media[0], Tar)
    assert all(isinstance(each, Zip) for each in media[1:])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(BLOCK),
        bytes(100 * BLOCK),
        b"A" * BLOCK,
        Member(b"A").blocks()[:-1],
        Member(b"A", fields={"checksum": b"000000\0 "}).blocks(),
        Member(b"A", fields={"size": b"not a number"}).blocks(),
        Member(b"").blocks(),
    ],
)
def test_what_is_no_tar_archive_is_none(data: bytes) -> None:
    assert not recognises(BytesSource(data))


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *(b"..", b"../A", b"../../etc/passwd", b"A/../../B", b"A/..", b"/../A"),
        *(b"/", b".", b"N" * 256, b"/".join([b"D"] * 33), b"D/" * 5000 + b"A"),
    ],
)
def test_a_member_with_an_evil_name_is_left_out_and_counted(name: bytes) -> None:
    evil = [tars.long_name(name), Member(b"x", b"evil")]
    if name.endswith(b"/"):
        evil = [tars.pax({"path": b"A\0B"}), Member(b"x", b"evil")]
    archive = opened(tars.archive([*evil, Member(b"GOOD", b"good")]))

    assert contents(archive) == {"GOOD": b"good"}
    [found] = archive.findings()
    assert (found.kind, found.count) == (Kind.MEMBER_LEFT_OUT, 1)


@pytest.mark.parametrize(
    ("name", "shown"), [(b"/A", "A"), (b"//srv/out/A", "srv/out/A"), (b"C:/x/A", "x/A")]
)
def test_a_name_that_begins_at_a_root_is_taken_below_that_of_the_archive(
    name: bytes, shown: str
) -> None:
    archive = opened(tars.archive([Member(name, b"a"), Member(b"B", b"b")]))

    assert contents(archive) == {shown: b"a", "B": b"b"}
    [found] = archive.findings()
    assert (found.kind, found.count) == (Kind.ROOTED_NAME, 1)


@pytest.mark.parametrize(
    "members",
    [
        [Member(b"A", bytes(BLOCK), kind=b"S", magic=GNU)],
        [tars.pax({"GNU.sparse.name": b"A", "GNU.sparse.major": b"1"}), Member(b"x")],
        [tars.pax({"GNU.sparse.size": b"99", "GNU.sparse.map": b"0,1"}), Member(b"A")],
    ],
)
def test_a_sparse_member_is_refused_by_name(members: list[Member]) -> None:
    archive = opened(tars.archive([*members, Member(b"B", b"b")]))

    assert "sparse" in str(error_of(archive, b"A"))
    with pytest.raises(OSError, match="sparse"):
        archive.open((b"A",))
    assert read(archive, b"B") == b"b"


def test_the_map_of_a_sparse_member_is_passed_over(tmp_path: Path) -> None:
    need("tar")
    with (tmp_path / "A").open("wb") as out:
        for number in range(60):
            out.seek(number * 100_000)
            out.write(b"data")
    (tmp_path / "B").write_bytes(b"b")
    for form in ("oldgnu", "gnu", "posix"):
        packed = ["tar", f"--format={form}", "-S", "-C", str(tmp_path), "-cf"]
        done = run([*packed, str(tmp_path / "out.tar"), "A", "B"])
        assert done.returncode == 0, done.stderr

        archive = opened((tmp_path / "out.tar").read_bytes())

        assert names(archive) == ["A", "B"]
        assert "sparse" in str(error_of(archive, b"A"))
        assert read(archive, b"B") == b"b"


def test_a_member_that_begins_in_another_volume_is_refused_by_name() -> None:
    members = [Member(b"A", b"rest", kind=b"M", magic=GNU), Member(b"B", b"b")]
    archive = opened(tars.archive(members))

    assert "another volume" in str(error_of(archive, b"A"))
    assert read(archive, b"B") == b"b"


def test_a_member_of_an_unknown_kind_is_left_out_and_counted() -> None:
    members = [Member(b"A", b"some", kind=b"Z"), Member(b"B", b"b")]
    archive = opened(tars.archive(members))

    assert contents(archive) == {"B": b"b"}
    assert archive.left_out == {"a member of a kind that is not known": 1}


def test_a_damaged_header_costs_its_member() -> None:
    good = [Member(b"A", b"a" * 2_000), Member(b"B", b"b" * 2_000), Member(b"C", b"c")]
    data = bytearray(tars.archive(good))
    data[data.index(b"B\0\0")] ^= 1
    archive = opened(bytes(data))

    assert contents(archive) == {"A": b"a" * 2_000, "C": b"c"}
    assert archive.left_out == {"a header that is damaged": 1}


class BadSource(CountingSource):
    """A source of which some blocks cannot be read."""

    bad: tuple[int, ...] = ()

    def read_at(self, offset: int, size: int) -> bytes:
        """Read, or fail where a block is bad."""
        first, last = offset // 4096, (offset + size - 1) // 4096
        if any(first <= number <= last for number in self.bad):
            raise OSError(errno.EIO, "a bad sector")
        return super().read_at(offset, size)


def test_a_bad_sector_costs_the_members_whose_headers_lie_on_it() -> None:
    members = [
        Member(b"%03d" % number, bytes([number]) * 9_000) for number in range(20)
    ]
    data = tars.archive(members)
    whole = contents(opened(data))

    for bad in range(1, len(data) // 4096):
        source = BadSource(data)
        source.bad = (bad,)
        archive = opened(source)
        good = 0
        for name in names(archive):
            with suppress(OSError):
                assert read(archive, name) == whole[name]
                good += 1
        assert good >= 18


def test_a_medium_that_fails_everywhere_ends() -> None:
    data = tars.archive([Member(b"%03d" % n, bytes(9_000)) for n in range(500)])
    source = BadSource(data)
    source.bad = tuple(range(3, len(data) // 4096 + 1))

    archive = opened(source)

    assert archive.is_cut_off
    assert names(archive) == ["000", "001"]


@pytest.mark.parametrize(
    ("cut", "left"),
    [(1, "whole"), (BLOCK, "a part"), (BLOCK + 1, "a part"), (3 * BLOCK, "nothing")],
)
def test_an_archive_that_was_cut_off_shows_what_is_left(cut: int, left: str) -> None:
    members = [Member(b"A", b"a" * 900), Member(b"B", b"b" * 900)]
    data = tars.archive(members, end=b"")
    archive = opened(data[: len(data) - cut])

    assert read(archive, b"A") == b"a" * 900
    assert [each.kind for each in archive.findings()] == [Kind.ARCHIVE_CUT_OFF]
    assert ("B" in names(archive)) == (left != "nothing")
    if left == "whole":
        assert read(archive, b"B") == b"b" * 900
    elif left == "a part":
        assert isinstance(error_of(archive, b"B"), CutOffError)


def test_an_archive_without_its_end_is_said_to_be_cut_off() -> None:
    assert opened(tars.archive([Member(b"A", b"a")], end=b"")).is_cut_off
    assert not opened(tars.archive([Member(b"A", b"a")])).is_cut_off
    assert not opened(tars.archive([Member(b"A", b"a")], bytes(BLOCK))).is_cut_off


def test_a_member_larger_than_the_archive_is_cut_off() -> None:
    for size in (b"77777777777\0", tars.binary((1 << 62) - 1), tars.binary(1 << 40)):
        archive = opened(tars.archive([Member(b"A", fields={"size": size})]))

        assert isinstance(error_of(archive, b"A"), CutOffError)
        assert archive.open((b"A",)).size <= 3 * BLOCK
        assert archive.is_cut_off


@pytest.mark.parametrize(
    "records",
    [
        b"",
        b"9",
        b"0 a=b\n",
        b"99999999999999999999 a=b\n",
        b"7 a=b",
        b"-6 a=b\n",
        b"= \n",
    ],
)
def test_records_of_pax_that_make_no_sense_are_passed_over(records: bytes) -> None:
    members = [Member(b"x", records, kind=b"x"), Member(b"A", b"a")]

    assert contents(opened(tars.archive(members))) == {"A": b"a"}


def test_headers_that_belong_to_a_member_are_bounded() -> None:
    tracemalloc.start()
    many = [tars.long_name(b"N" * 300_000), tars.pax({"path": b"P" * 2_000_000})]
    archive = opened(tars.archive([*many, Member(b"A", b"a")]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert contents(archive) == {"A": b"a"}
    assert archive.left_out == {"a header that is damaged": 2}
    assert peak < 30_000_000


def test_an_archive_may_have_so_many_members_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dicomfs.media.tar.archive._MOST_MEMBERS", 50)
    block = Member(b"A").blocks()

    assert opened(block * 50 + tars.END).left_out.total() == 49
    with pytest.raises(MediumError, match="more than"):
        opened(block * 51 + tars.END)


@pytest.mark.slow
def test_many_hard_links_cost_time_in_proportion() -> None:
    links = [Member(b"L%d" % n, kind=b"1", link=b"A") for n in range(20_000)]

    archive = opened(tars.archive([Member(b"A", b"a"), *links]))

    assert read(archive, b"L19999") == b"a"


@pytest.mark.slow
@pytest.mark.counted
def test_a_mutated_archive_gives_the_true_bytes_or_an_error() -> None:
    members: list[Member] = [
        Member(b"DICOMDIR", some_bytes(1, 700)),
        tars.long_name(b"L" * 150),
        Member(b"x", some_bytes(2, 1_500), magic=GNU),
        tars.pax({"path": b"P/" + b"P" * 120, "mtime": b"5.5"}),
        Member(b"y", some_bytes(3, 300)),
        Member(b"H", kind=b"1", link=b"DICOMDIR"),
        Member(b"D/E/F", some_bytes(4, 2_000)),
    ]
    data = tars.archive(members)
    true = set(contents(opened(data)).values())
    chance = random.Random(512)
    shown = 0

    for _ in range(_MUTANTS):
        mutant = bytearray(data)
        # Headers only: a tar archive has no checksum of what its members hold.
        blocks = [
            at
            for at in range(0, len(data), BLOCK)
            if data[at + 257 : at + 262] == b"ustar"
        ]
        for _ in range(chance.randint(1, 3)):
            mutant[chance.choice(blocks) + chance.randrange(BLOCK)] = chance.randrange(
                256
            )
        if not recognises(BytesSource(bytes(mutant))):
            continue
        try:
            archive = opened(bytes(mutant))
            for name in names(archive):
                with suppress(OSError):
                    assert read(archive, name) in true
                    shown += 1
        except MediumError:
            continue

    assert shown > _MUTANTS
