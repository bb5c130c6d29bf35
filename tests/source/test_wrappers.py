"""Sources made of others: none of them loses a member of the one below."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Final

import pytest

import dicomfs
from dicomfs.check.readability import Readability, ReadableSource
from dicomfs.extras.document import Opened
from dicomfs.media.sectors import SectorSource
from dicomfs.media.udf.partition import ZEROS
from dicomfs.media.udf.volume import _WithZeros
from dicomfs.media.zip.decrypt import AesLock, Deciphered, load
from dicomfs.media.zip.proof import Proof, Proved
from dicomfs.source.limited import Limited
from dicomfs.source.source import (
    SECTOR,
    AtHand,
    BytesSource,
    Extent,
    ExtentSource,
    Source,
    View,
    Wrapper,
)
from dicomfs.source.worn import Holed
from dicomfs.tree.heads import StandIn, Watched

SIZE: Final = 8 * 2352


class Below(BytesSource):
    """What is wrapped; notes what is asked of it."""

    is_prompt = False
    in_turn = True

    def __init__(self) -> None:
        super().__init__((bytes(range(256)) * SIZE)[:SIZE], mtime_ns=7)
        self.reads: list[tuple[int, int]] = []
        self.hanging: list[tuple[int, int]] = []
        self.is_in_memory = True
        self.is_closed = False

    def read_at(self, offset: int, size: int) -> bytes:
        """Read, and note where."""
        self.reads.append((offset, size))
        return super().read_at(offset, size)

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Read, if memory holds it."""
        return super().read_cached(offset, buffer) if self.is_in_memory else None

    def hangs(self, offset: int, size: int) -> None:
        """Note what hangs."""
        self.hanging.append((offset, size))

    def hangs_no_more(self, offset: int, size: int) -> None:
        """Note what does not hang any more."""
        self.hanging.remove((offset, size))

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


def deciphered(below: Source) -> Source:
    assert load()
    return Deciphered(below, AesLock(b"sesame", bytes(8), 16))


# One of each kind; those that others make on the way are the product's own.
WRAPPERS: Final[dict[type[Wrapper], Callable[[Source], Source]]] = {
    Wrapper: Wrapper,
    View: View,
    ExtentSource: lambda below: ExtentSource(below, [Extent(5, 3000)], 7),
    AtHand: AtHand,
    SectorSource: lambda below: SectorSource(below, 2352, 16),
    _WithZeros: _WithZeros,
    Deciphered: deciphered,
    Proved: lambda below: Proved(below, Proof(SIZE, 0, lambda _: None), lambda: ""),
    ReadableSource: lambda below: ReadableSource(below, Readability(SIZE)),
    Watched: lambda below: Watched(below, lambda _: True, lambda _: None),
    StandIn: StandIn,
    Opened: lambda below: Opened(View(below), below),
    Holed: lambda below: Holed(below, []),
    Limited: lambda below: Limited(below, 100_000),
}


@pytest.fixture
def below() -> Below:
    return Below()


@pytest.fixture(params=WRAPPERS, ids=lambda kind: kind.__name__)
def wrapper(request: pytest.FixtureRequest, below: Below) -> Source:
    if request.param is Deciphered:
        pytest.importorskip("Cryptodome")
    made: Source = WRAPPERS[request.param](below)
    return made


def test_every_kind_of_wrapper_is_tested() -> None:
    for module in pkgutil.walk_packages(dicomfs.__path__, "dicomfs."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    ours = {kind for kind in _kinds(Wrapper) if kind.__module__.startswith("dicomfs.")}
    assert ours == set(WRAPPERS)


def _kinds(kind: type[Wrapper]) -> Iterator[type[Wrapper]]:
    yield kind
    for other in kind.__subclasses__():
        yield from _kinds(other)


def test_size_and_status_agree(wrapper: Source) -> None:
    assert 0 < wrapper.size <= SIZE
    assert wrapper.size == wrapper.status.size
    assert wrapper.status.mtime_ns == 7


def test_reads_go_one_after_the_other_if_they_do_below(wrapper: Source) -> None:
    assert wrapper.in_turn


def test_closing_is_prompt_if_it_is_below_or_nothing_is_closed(wrapper: Source) -> None:
    assert wrapper.is_prompt == isinstance(wrapper, View)


def test_closing_closes_what_is_owned(wrapper: Source, below: Below) -> None:
    wrapper.close()

    assert below.is_closed != isinstance(wrapper, View)


@pytest.mark.parametrize(
    ("offset", "size"), [(0, 10), (2040, 900), (2999, 1), (0, SIZE), (SIZE, 9)]
)
def test_a_cached_read_gives_what_a_read_gives(
    wrapper: Source, offset: int, size: int
) -> None:
    buffer = bytearray(size)
    data = wrapper.read_at(offset, size)

    assert wrapper.read_cached(offset, memoryview(buffer)) == len(data)
    assert buffer[: len(data)] == data


def test_what_memory_does_not_hold_below_is_not_given(
    wrapper: Source, below: Below
) -> None:
    below.is_in_memory = False

    assert wrapper.read_cached(0, memoryview(bytearray(10))) is None


def test_what_hangs_hangs_where_it_is_read(wrapper: Source, below: Below) -> None:
    wrapper.hangs(100, 50)

    [(offset, size)] = below.hanging
    if not isinstance(wrapper, AtHand):
        wrapper.read_at(100, 50)
        assert below.reads == [(offset, size)]
    wrapper.hangs_no_more(100, 50)
    assert below.hanging == []


def test_zeros_neither_hang_nor_wait(below: Below) -> None:
    source = _WithZeros(below)
    buffer = bytearray(b"xyz")
    below.is_in_memory = False

    source.hangs(ZEROS, 3)
    source.hangs_no_more(ZEROS, 3)

    assert below.hanging == []
    assert source.read_cached(ZEROS, memoryview(buffer)) == 3
    assert buffer == bytes(3) == source.read_at(ZEROS, 3)


def test_what_is_known_to_be_unreadable_is_not_given_from_memory(below: Below) -> None:
    readability = Readability(SIZE, [(4096, 8192)])
    source = ReadableSource(below, readability)

    assert source.read_cached(0, memoryview(bytearray(4096))) == 4096
    assert source.read_cached(4000, memoryview(bytearray(97))) is None


def test_what_is_left_out_can_neither_be_read_nor_is_in_memory(below: Below) -> None:
    source = Holed(below, [(4096, 8192)])

    assert source.read_cached(0, memoryview(bytearray(4096))) == 4096
    assert source.read_cached(4000, memoryview(bytearray(97))) is None
    assert len(source.read_at(8192, 10)) == 10
    with pytest.raises(OSError, match="zeros"):
        source.read_at(4000, 97)


def test_a_limit_counts_what_is_read_from_memory_too(below: Below) -> None:
    source = Limited(below, 10)

    assert source.read_cached(0, memoryview(bytearray(4))) == 4
    assert len(source.read_at(0, 4)) == 4
    assert source.read_cached(0, memoryview(bytearray(4))) == 2
    assert source.read_at(0, 4) == b""


def test_sectors_are_of_the_data_in_them(below: Below) -> None:
    source = SectorSource(below, 2352, 16)

    assert source.read_at(SECTOR, 1) == below.data[2352 + 16 : 2352 + 17]
