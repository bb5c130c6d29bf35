#!/usr/bin/python3 -I
"""The command, with what came along with the package."""

import sys

sys.path.insert(0, "/usr/lib/dicomfs")

from dicomfs.cli.program import dicomfs

dicomfs()
