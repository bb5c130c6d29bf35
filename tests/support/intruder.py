"""Be in the place of what reads a medium, and try there what is forbidden.

    python -P -m tests.support.intruder FOLDER COMMAND [ARGUMENT ...]

runs ``dicomfs COMMAND ARGUMENT ...`` of which the process that reads media is in other
hands as soon as it begins to. It says as JSON what came of each attempt of those of
``test_sandbox.FORBIDDEN``; FOLDER is what they need.
"""

import errno
import json
import os
import stat
import sys
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

from dicomfs.cli.main import main
from dicomfs.errors import Failure, Problem
from tests.sandbox.test_sandbox import FORBIDDEN, Held

# A name in front of what is said, and a word behind it.
BEGIN: Final = "<<"
END: Final = ">>"


def _answers(held: Held) -> dict[str, str]:
    """Return the name of the error of each attempt, or what it came to."""
    kinds = {each: _kind(each) for each in range(3, 64)}
    # What it was has been closed, and the number may be another's now.
    held.log = next((each for each in kinds if kinds[each] == stat.S_IFREG), -1)
    held.medium = next(each for each in kinds if kinds[each] == stat.S_IFDIR)
    found = {}
    for name, act in FORBIDDEN.items():
        try:
            found[name] = str(act(held))
        except OSError as error:
            found[name] = errno.errorcode.get(error.errno or 0, "?")
    return found


def _kind(descriptor: int) -> int:
    """Return what is open there, 0 if nothing is."""
    try:
        return stat.S_IFMT(os.fstat(descriptor).st_mode)
    except OSError:
        return 0


def _intrude(held: Held) -> NoReturn:
    told = json.dumps(_answers(held))
    raise Failure(Problem.SOURCE_UNREADABLE, name="", reason=f"{BEGIN}{told}{END}")


if __name__ == "__main__":
    what = Held(Path(sys.argv[1]))
    module = "dicomfs.mount.worker" if "mount" in sys.argv else "dicomfs.fileset.open"
    vars(import_module(module))["file_sets_of"] = lambda *_, **__: _intrude(what)
    sys.exit(main(sys.argv[2:]))
