"""Digests of what was read of a file."""

from dicomfs.source.digests import Budget, Digests
from dicomfs.source.source import BytesSource

DATA = bytes(range(256)) * 4


def read(*places: tuple[int, int], budget: Budget | None = None) -> Digests:
    """Return the digests after DATA was read at these offsets, so many bytes."""
    digests = Digests(budget)
    for offset, size in places:
        digests.note(offset, memoryview(DATA)[offset : offset + size])
    return digests


def hold(digests: Digests, data: bytes) -> bool:
    return digests.hold(BytesSource(data).read_at)


def test_what_was_read_holds_as_long_as_it_is_the_same() -> None:
    digests = read((0, 100), (500, 24))

    assert hold(digests, DATA)
    assert hold(digests, DATA[:100] + bytes(400) + DATA[500:])
    assert not hold(digests, b"?" + DATA[1:])
    assert not hold(digests, DATA[:523] + b"?" + DATA[524:])
    assert not hold(digests, DATA[:520])


def test_the_longer_of_two_reads_at_one_place_counts() -> None:
    for places in [(0, 100), (0, 10)], [(0, 10), (0, 100)]:
        assert not hold(read(*places), DATA[:99] + b"?" + DATA[100:])


def test_nothing_that_was_read_is_always_the_same() -> None:
    assert hold(Digests(), b"")
    assert not Digests().has_head
    assert read((0, 1)).has_head


def test_beyond_the_budget_nobody_knows() -> None:
    budget = Budget(2)
    known, unknown = read((0, 1), (1, 1), budget=budget), read((0, 1), budget=budget)

    assert hold(known, DATA)
    assert not hold(unknown, DATA)


PAGES = bytes(range(251)) * 300


def sampled(data: bytes) -> Digests:
    """Return the digests after all of *data* was read from memory."""
    digests = Digests()
    digests.note(0, memoryview(data), whole=False)
    return digests


def test_of_what_memory_held_the_head_counts_whole() -> None:
    for at in (0, 100, 16 * 1024 - 1):
        changed = PAGES[:at] + b"\xff" + PAGES[at + 1 :]

        assert hold(sampled(PAGES), PAGES)
        assert not hold(sampled(PAGES), changed)


def test_of_what_memory_held_each_page_counts() -> None:
    for page in range(4, -(-len(PAGES) // 4096)):
        start = page * 4096
        changed = PAGES[:start] + b"\xff" * len(PAGES[start : start + 4096])

        assert not hold(sampled(PAGES), changed + PAGES[start + 4096 :])


def test_a_file_that_ends_earlier_or_later_is_another_one() -> None:
    assert not hold(sampled(PAGES), PAGES[:-1])
    assert not hold(sampled(PAGES), b"")


def test_a_read_as_a_whole_counts_for_more_than_one_from_memory() -> None:
    digests = sampled(PAGES)
    digests.note(0, PAGES)

    assert not hold(digests, PAGES[:20_000] + b"\xff" + PAGES[20_001:])
