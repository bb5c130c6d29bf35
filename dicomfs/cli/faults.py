"""The faults that a mount knows of, by its own report, in a few lines without a name."""

import json
from collections import Counter
from pathlib import Path
from typing import Final

from dicomfs.tree.own import FOLDER

_REPORT: Final = "report.json"
_MOST: Final = 4
_WHERE: Final = "README.txt has more."


def told(place: Path) -> str:
    """Return what is wrong with the medium that is mounted on *place*, if anything is.

    The text is empty if nothing is, or if nothing is mounted there any more.
    """
    try:
        report = json.loads((place / FOLDER / _REPORT).read_bytes())
    except OSError:
        return ""
    counts = Counter[str]()
    for finding in report["findings"]:
        if finding["fault"]:
            counts[finding["meaning"]] += finding["count"]
    if not counts:
        return ""
    lines = [f"{meaning}: {count}" for meaning, count in counts.most_common(_MOST)]
    return "\n".join([*lines, _WHERE])
