"""``dicomfs umount``: the end of mounts."""

import argparse

from dicomfs.cli.codes import Exit
from dicomfs.cli.exits import complaint
from dicomfs.cli.terminal import complain
from dicomfs.errors import Failure
from dicomfs.mount import attachment, mountpoint


def run(given: argparse.Namespace) -> Exit:
    """End the mounts that were *given*; return how the first failed that did."""
    exit_code = Exit.OK
    for place in given.mountpoints:
        try:
            attachment.end(mountpoint.resolve(place), lazy=given.lazy)
        except Failure as failure:
            told = complaint(failure)
            complain(told)
            exit_code = exit_code or told.exit_code
    return exit_code
