"""The one cache: bounded, for all threads."""

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from dicomfs.source.cache import Cache


def test_a_value_is_kept_until_others_are_used_more_recently() -> None:
    cache = Cache[str, int](2)
    cache.put("a", 1)
    cache.put("b", 2)

    assert cache.get("a") == 1
    cache.put("c", 3)

    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_values_count_for_what_they_are_said_to() -> None:
    cache = Cache[str, bytes](10, len)
    cache.put("a", bytes(4))
    cache.put("b", bytes(6))
    assert cache.size == 10

    cache.put("c", bytes(1))
    assert "a" not in cache
    assert cache.size == 7


def test_a_value_that_is_too_large_stays_until_the_next_one_comes() -> None:
    cache = Cache[str, bytes](3, len)
    cache.put("a", bytes(9))
    assert cache.get("a") == bytes(9)

    cache.put("b", b"")
    assert cache.get("a") is None
    assert (cache.get("b"), cache.size) == (b"", 0)


def test_a_value_that_was_taken_is_not_kept() -> None:
    cache = Cache[str, bytes](9, len)
    cache.put("a", b"one")

    assert cache.take("a") == b"one"
    assert cache.take("a") is None
    assert (len(cache), cache.size) == (0, 0)


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "get", "take"]), st.integers(0, 5)), max_size=40
)


@given(STEPS, st.integers(0, 12))
def test_a_cache_is_what_a_slow_one_would_be(
    steps: list[tuple[str, int]], most: int
) -> None:
    cache = Cache[int, bytes](most, len)
    slow: OrderedDict[int, bytes] = OrderedDict()
    for number, (step, key) in enumerate(steps):
        if step == "put":
            slow.pop(key, None)
            slow[key] = bytes(number % 5)
            while sum(map(len, slow.values())) > most and len(slow) > 1:
                slow.popitem(last=False)
            cache.put(key, slow[key])
        elif step == "take":
            assert cache.take(key) == slow.pop(key, None)
        else:
            assert cache.get(key) == slow.get(key)
            if key in slow:
                slow.move_to_end(key)
        assert cache.size == sum(map(len, slow.values()))
        assert len(cache) == len(slow)


def test_many_threads_keep_the_count_right() -> None:
    cache = Cache[int, bytes](100, len)

    def work(seed: int) -> None:
        for number in range(2_000):
            key = (number * 7 + seed) % 31
            if cache.get(key) is None:
                cache.put(key, bytes(key))
            elif number % 5 == 0:
                cache.take(key)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))

    size = cache.size
    assert size <= 100
    assert size == sum(len(cache.take(key) or b"") for key in range(31))
    assert (len(cache), cache.size) == (0, 0)
