"""Who is told how the opening of sources goes."""

from typing import Final

from dicomfs.errors import Failure


class Listener:
    """Hears what is left out, and how far a scan is; this one does not care.

    Its methods are called by whatever thread opens a source, and return at once.
    """

    def left_out(self, name: str, failure: Failure) -> None:
        """Hear that the source or image *name* has no File-set, and why."""

    def told(self, name: str, what: str) -> None:
        """Hear *what* is to be known at once of the source *name*, empty if it is alone."""

    def scanned(self, name: str, files: int, instances: int, of: int) -> None:
        """Hear how many *files* of the source *name* were looked at so far.

        They are *of* so many; while those are still being counted, none was looked at.
        """

    def scan_ended(self) -> None:
        """Hear that the scan that was told about is over."""


NOBODY: Final = Listener()
