"""Sentences about one of something, or about many."""


def counted(count: int, one: str, many: str = "") -> str:
    """Return "1 file" or "1,200 files": *one* is the word for one, *many* for others.

    Without the latter it is the former with an s.
    """
    return f"{count:,} {agreed(count, one, many or f'{one}s')}"


def agreed(count: int, one: str, many: str) -> str:
    """Return the word that agrees with *count*: that for *one*, or that for *many*."""
    return one if count == 1 else many
