"""Variables that are taken out of the environment, and out of what the kernel shows."""

import json
from typing import Final

from dicomfs.sandbox.environment import wipe
from tests.support.mounting import python

SECRET: Final = "Sesame77"
VARIABLES: Final = {
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "OF_NO_KNOWN_NAME": f"{SECRET}=\n{SECRET}",
    "SHORT": "S",
    "EMPTY": "",
    "LC_ALL": "C.UTF-8",
    "TZ": "Asia/Tokyo",
}

WITHDRAWN: Final = """
import json, os, subprocess
from pathlib import Path
from dicomfs.sandbox import environment

taken = environment.withdraw()
block = Path("/proc/self/environ").read_bytes()
childs = subprocess.run(["env"], capture_output=True, check=True).stdout
names = {entry.partition(b"=")[0] for entry in block.split(b"\\0") if entry}
print(json.dumps({
    "taken": {name.decode(): value.decode() for name, value in taken.items()},
    "block": block.decode(), "ours": dict(os.environ), "childs": childs.decode(),
    "is same": names == set(os.environb),
}))
"""


def test_only_plain_variables_are_left_and_the_others_are_shown_nowhere() -> None:
    told = json.loads(python(WITHDRAWN, env=VARIABLES))

    for name in ("AWS_SECRET_ACCESS_KEY", "OF_NO_KNOWN_NAME", "SHORT", "EMPTY"):
        assert told["taken"][name] == VARIABLES[name]
        assert name not in told["ours"]
    for where in ("block", "ours", "childs"):
        assert SECRET not in str(told[where])
        assert "Asia/Tokyo" in str(told[where])
    assert told["is same"]


def test_what_is_wiped_is_no_more_but_for_what_all_share() -> None:
    taken = {b"X": SECRET.encode(), b"SHORT": b"S", b"EMPTY": b""}

    wipe(taken)

    assert taken == {b"X": bytes(len(SECRET)), b"SHORT": b"S", b"EMPTY": b""}
    assert bytes([83]) == b"S"
