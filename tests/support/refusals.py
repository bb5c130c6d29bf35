"""Try as somebody else what a mount has to refuse, and tell the answers.

    python -P -m tests.support.refusals FOLDER FILE

prints one JSON object: the name of the error by the name of the attempt, of those of
``test_mount.REFUSED``; null for what was not refused.
"""

import errno
import json
import sys
from pathlib import Path

from tests.mount.test_mount import REFUSED, Target


def answers(target: Target) -> dict[str, str | None]:
    """Return how each attempt at *target* is answered."""
    found: dict[str, str | None] = {}
    for name, (act, _) in REFUSED.items():
        try:
            act(target)
        except OSError as error:
            found[name] = errno.errorcode.get(error.errno or 0, "?")
        else:
            found[name] = None
    return found


if __name__ == "__main__":
    folder, file = map(Path, sys.argv[1:])
    sys.stdout.write(json.dumps(answers(Target(folder, file))))
