#!/usr/bin/python3 -I
"""The helper of mount(8), with what came along with the package."""

import sys

sys.path.insert(0, "/usr/lib/dicomfs")

from dicomfs.cli.program import mount_dicomfs

mount_dicomfs()
