"""The command line of random media; see ``scripts/random-media --help``."""

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from scripts.randommedia.run import Medium, faults, make

COUNT: Final = 300
SEED: Final = 1
# Of what is wrong with one medium, so much is told.
_MOST: Final = 12


def main() -> int:
    """Make random media, look at each, and print what was made and what is wrong."""
    given = _parser().parse_args()
    numbers = given.only or range(given.first, given.first + given.count)
    made: list[Medium] = []
    wrong = 0
    start = _seconds()
    for number in numbers:
        with tempfile.TemporaryDirectory(prefix="dicomfs-random-") as scratch:
            folder = given.keep / f"medium-{number}" if given.keep else Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            medium = make(given.seed, number, folder, is_torn=given.torn)
            found = faults(medium)
        made.append(medium)
        if found:
            wrong += 1
            sys.stdout.write(f"{medium.outline}\n")
            sys.stdout.writelines(f"    {line}\n" for line in found[:_MOST])
            if len(found) > _MOST:
                sys.stdout.write(f"    and {len(found) - _MOST} more\n")
            again = f"scripts/random-media --seed {given.seed} --only {number}"
            more = " --torn" if given.torn else ""
            sys.stdout.write(f"    to repeat it: {again}{more} --keep DIR\n")
    seconds = _seconds() - start
    sys.stdout.write(f"{_summary(made)}\n{wrong} wrong; {seconds:.0f} s of CPU time\n")
    return 1 if wrong else 0


def _seconds() -> float:
    """Return how much CPU time was used so far, by programs that were run, too."""
    return sum(os.times()[:4])


def _summary(made: list[Medium]) -> str:
    forms = Counter(form for medium in made for form in medium.forms)
    entries = [each for medium in made for each in medium.expected]
    missing = sum(not each.digests for each in entries)
    joined = sum(len(each.files) > 1 for each in entries)
    several = sum(len(medium.forms) > 1 for medium in made)
    kinds = ", ".join(f"{count} {form}" for form, count in sorted(forms.items()))
    return (
        f"{len(made)} media, {several} of several discs ({kinds})\n"
        f"{len(entries)} entries: {missing} missing, {joined} on several discs"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/random-media",
        description="Make random media, and see whether each file that they list is "
        "shown exactly once, byte for byte, under its patient, study and series.",
        epilog="Exit code: 0 if all media are shown rightly.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--count", type=int, default=COUNT, metavar="N", help=f"(default: {COUNT})"
    )
    parser.add_argument(
        "--seed", type=int, default=SEED, metavar="S", help=f"(default: {SEED})"
    )
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="go on from it"
    )
    parser.add_argument(
        "--only",
        type=int,
        action="append",
        metavar="N",
        help="only the one of this number",
    )
    parser.add_argument(
        "--torn", action="store_true", help="with links between records that are wrong"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="leave the media and the truth there"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
