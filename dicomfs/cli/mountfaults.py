"""What people are told about problems with a mountpoint, and with the mount.

In braces stand the facts of a failure, as in ``complaints``.
"""

from collections.abc import Mapping
from typing import Final

from dicomfs.cli.codes import Complaint, Exit
from dicomfs.errors import Problem

_LAST: Final = "MOUNTPOINT comes last, behind all SOURCEs"

TABLE: Final[Mapping[Problem, Complaint]] = {
    Problem.MOUNTPOINT_MISSING: Complaint(
        Exit.MOUNTPOINT_MISSING,
        "the mountpoint {mountpoint} does not exist",
        "make it: mkdir -p {mountpoint:shell}",
    ),
    Problem.MOUNTPOINT_NOT_FOLDER: Complaint(
        Exit.MOUNTPOINT_NOT_FOLDER,
        "the mountpoint {mountpoint} is not a folder",
        f"{_LAST}: give an empty folder",
    ),
    Problem.MOUNTPOINT_NOT_EMPTY: Complaint(
        Exit.MOUNTPOINT_NOT_EMPTY,
        "the mountpoint {mountpoint} is not empty",
        f"{_LAST}: give an empty folder, as what is in this one would be hidden",
    ),
    Problem.MOUNTPOINT_CLOSED: Complaint(
        Exit.MOUNT_REFUSED,
        "the mountpoint {mountpoint} cannot be looked into: {reason}",
        "give a folder of your own",
    ),
    Problem.MOUNTPOINT_OVERLAPS: Complaint(
        Exit.MOUNTPOINT_OVERLAPS,
        "the mountpoint {mountpoint} lies inside the source or around it",
        "give an empty folder elsewhere",
    ),
    Problem.MOUNTPOINT_OURS: Complaint(
        Exit.MOUNTPOINT_IN_USE,
        "{mountpoint} is mounted already (fuse.dicomfs)",
        "end that mount first: {dicomfs} umount {mountpoint:shell}",
    ),
    Problem.MOUNTPOINT_TAKEN: Complaint(
        Exit.MOUNTPOINT_IN_USE,
        "{mountpoint} is mounted already ({fstype})",
        "end that mount first: fusermount3 -u {mountpoint:shell}",
    ),
    Problem.MOUNTPOINT_STALE: Complaint(
        Exit.MOUNTPOINT_STALE,
        "{mountpoint} holds a dead mount (transport endpoint is not connected)",
        "clear it as the user who made it: fusermount3 -u {mountpoint:shell}",
    ),
    Problem.MOUNT_REFUSED: Complaint(
        Exit.MOUNT_REFUSED,
        "{reason}",
        "give a folder of your own, on a file system that can be mounted on",
    ),
    Problem.OTHERS_REFUSED: Complaint(
        Exit.MOUNT_REFUSED,
        "{reason}",
        "leave --allow-other out, or add user_allow_other to /etc/fuse.conf",
    ),
    Problem.USER_REFUSED: Complaint(
        Exit.MOUNT_REFUSED,
        "{reason}",
        "give your user a name: fusermount3 wants a line in /etc/passwd",
    ),
    Problem.DEVICE_REFUSED: Complaint(
        Exit.MOUNT_REFUSED,
        "{reason}",
        "see that you may open /dev/fuse: sudo chmod 666 /dev/fuse",
    ),
    Problem.WORKER_DIED: Complaint(
        Exit.WORKER_DIED,
        "the serving process ended before the mount was ready",
        "run it again with --foreground --verbose to see why",
    ),
    Problem.WORKER_FAILED: Complaint(
        Exit.UNEXPECTED,
        "the serving process failed; the mount is gone",
        "mount it again",
    ),
    Problem.NOT_MOUNTED: Complaint(
        Exit.NOT_MOUNTED,
        "nothing of dicomfs is mounted on {mountpoint}",
        "see what is: findmnt --types fuse.dicomfs",
    ),
    Problem.UNMOUNT_REFUSED: Complaint(
        Exit.UNMOUNT_BUSY,
        "{mountpoint} cannot be unmounted: {reason}",
        "end what uses it (fuser -vm {mountpoint:shell} shows it), or use --lazy",
    ),
}
