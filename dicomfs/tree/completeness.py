"""Whether all links were checked that a folder depends on: who asks earlier, waits.

A walk that begins as soon as there is a tree finds all that there will ever be. So the
root is listed at once, and what is below it when its DICOMDIR was looked through. What
belongs nowhere is known when all of them were: until then ``Unlinked`` is in the root.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from dicomfs.errors import DirectoryError
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.links import LinkCheck

log = logging.getLogger(__name__)

MOST_CHECKED: Final = 500_000
"""The links of a DICOMDIR with so many records are checked without need."""
MOST_AWAITED: Final = 4 * 1024 * 1024
"""The root waits for the check of so many bytes of DICOMDIRs, some 20,000 records."""
# If somebody is at it already, and the medium is slow, no longer than this.
_PATIENCE: Final = 0.1


class Completeness:
    """Checks the links of the DICOMDIRs *tops* and of those nested in them, when due.

    Those of more than *most_checked* records are left alone: their links are checked
    where one turns out to be wrong. The root waits for *most_awaited* bytes. *failed*
    hears of those that cannot be read.
    """

    def __init__(
        self,
        tops: Sequence[FileSet],
        most_checked: int = MOST_CHECKED,
        most_awaited: int = MOST_AWAITED,
        *,
        failed: Callable[[FileSet, OSError | DirectoryError], None],
    ) -> None:
        self._tops = tops
        self._failed = failed
        self._most_checked = most_checked
        self._most_awaited = most_awaited
        # So many, of the first ones, are known to be done.
        self._settled = 0
        # Whether somebody sees to all of them, and when that is done.
        self._is_begun = False
        self._done = threading.Event()

    @property
    def file_sets(self) -> list[FileSet]:
        """The File-sets, and those nested in them that were met so far."""
        return [each for top in self._tops for each in top.family]

    @property
    def is_behind(self) -> bool:
        """Whether the links of some DICOMDIR are still to be checked."""
        return any(each.link_check is LinkCheck.NOT_YET for each in self._tops)

    @property
    def is_settled(self) -> bool:
        """Whether all that belongs nowhere is known."""
        # None goes back to not being done, and there may be thousands of them.
        done = self._settled
        while done < len(self._tops) and self._tops[done].settling.is_done:
            done += 1
        self._settled = done
        return done == len(self._tops)

    @property
    def _is_small(self) -> bool:
        return sum(each.settling.size for each in self._tops) <= self._most_awaited

    # -- waiting -----------------------------------------------------------------------

    def before_root(self) -> None:
        """Check all links if they are few; if that takes long elsewhere, do not wait."""
        if not self._is_small:
            for each in self._tops:
                each.settling.leave_alone(self._most_checked)
            return
        if self._is_begun:
            self._done.wait(_PATIENCE)
        else:
            self.settle()

    def before(self, file_sets: Iterable[FileSet]) -> None:
        """Check the links of *file_sets*, or wait for those who do."""
        for file_set in file_sets:
            self._try(file_set, self._check)

    def settle(self) -> None:
        """Check all links, and find all that belongs nowhere, or wait for those who do.

        What cannot be read is shown as far as it can without; the report says so.
        """
        self.before(self._tops)
        for file_set in self._tops:
            self._try(file_set, _finish)

    def _check(self, file_set: FileSet) -> None:
        file_set.settling.check(self._most_checked)

    def _try(self, file_set: FileSet, work: Callable[[FileSet], None]) -> None:
        try:
            work(file_set)
        except (OSError, DirectoryError) as error:
            if len(self._tops) == 1:
                log.warning("the links cannot be checked: %s", type(error).__name__)
            self._failed(file_set, error)

    # -- in the background -------------------------------------------------------------

    def begin(self) -> bool:
        """Say that a thread is about to ``settle_all``; return whether the root waits."""
        self._is_begun = True
        return self._is_small

    def settle_all(self) -> None:
        """Do all that is due, for the background; failures are logged."""
        try:
            self.settle()
        finally:
            self._done.set()


def _finish(file_set: FileSet) -> None:
    file_set.settling.finish()
