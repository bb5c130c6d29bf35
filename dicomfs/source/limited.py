"""A source of which only so much is read, as what it says of itself may be a lie."""

from dicomfs.source.source import Source, Wrapper


class Limited(Wrapper):
    """A source that ends after *budget* bytes were read of it, wherever they lay."""

    def __init__(self, source: Source, budget: int) -> None:
        super().__init__(source)
        self._budget = budget

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer where the budget ends."""
        data = super().read_at(offset, min(size, self._budget))
        self._budget -= len(data)
        return data

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with what ``read_at`` would give, if memory holds it all."""
        count = super().read_cached(offset, buffer[: self._budget])
        self._budget -= count or 0
        return count
