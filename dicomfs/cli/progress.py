"""How far something is, as people are told it."""

from typing import Final

from dicomfs.check.meter import Amount
from dicomfs.cli.terminal import Pace

MB: Final = 1_000_000


def so_far(amount: Amount) -> str:
    """Return how much of how much is done."""
    if not amount.of:
        return f"{amount.number:,}"
    told = f"{amount.number:,} of {amount.of:,}"
    if not amount.of_size:
        return told
    size = min(amount.size, amount.of_size)
    return f"{told}, {size / MB:,.0f} of {amount.of_size / MB:,.0f} MB"


def how_fast(amount: Amount, pace: Pace) -> str:
    """Return how fast it goes: in bytes, where those are most of the work."""
    if amount.of_size:
        return pace.told(amount.part, amount.size / MB, " MB")
    return pace.told(amount.part, amount.number)
