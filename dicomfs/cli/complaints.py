"""What people are told about each problem: an exit code, a sentence, and how to mend it.

In braces stand the facts of a failure.
"""

from collections.abc import Mapping
from typing import Final

from dicomfs.cli import mountfaults
from dicomfs.cli.codes import Complaint, Exit
from dicomfs.errors import Problem

_SCAN: Final = "give --scan to build the tree from the files themselves"
_SPELLING: Final = "see how it is spelt"

# Facts of the failure stand in braces; {dicomfs} is the command, as it was called.
TABLE: Final[Mapping[Problem, Complaint]] = {
    Problem.UNFORESEEN: Complaint(
        Exit.UNEXPECTED,
        "an error that dicomfs did not foresee: {reason}",
        "report it, with what you did and with {dicomfs} --version",
    ),
    # -- what was asked for, and the machine -------------------------------------------
    Problem.USAGE: Complaint(Exit.USAGE, "{reason}", "see {command} --help"),
    Problem.COLUMN_UNKNOWN: Complaint(
        Exit.USAGE,
        "there is no column {name}",
        "give a keyword of DICOM; the nearest one is {nearest}",
    ),
    Problem.COLUMN_KIND: Complaint(
        Exit.USAGE,
        "{name} is neither text nor a number: its values are {vr}",
        "leave it out",
    ),
    Problem.COLUMN_LEVEL: Complaint(
        Exit.USAGE,
        "a row of this level has no column {name}",
        "leave it out, or give --level {levels}",
    ),
    Problem.PASSWORD_FILE: Complaint(
        Exit.USAGE,
        "the password file {file} cannot be read: {reason}",
        "give a file of yours that has a password on each line",
    ),
    Problem.LOG_FILE: Complaint(
        Exit.USAGE,
        "the log file {file} cannot be written: {reason}",
        "give a file in a folder of your own",
    ),
    Problem.OUTPUT: Complaint(
        Exit.DESTINATION,
        "the output cannot be written: {reason}",
        "see that there is room where it goes",
    ),
    Problem.OUTPUT_FOLDER: Complaint(
        Exit.DESTINATION,
        "{name} cannot be written: there is no folder {folder}",
        "make it: mkdir -p {folder:shell}",
    ),
    Problem.OUTPUT_FILE: Complaint(
        Exit.DESTINATION,
        "{name} cannot be written: {reason}",
        "give a FILE in a folder of your own",
    ),
    Problem.NO_SAMPLE: Complaint(
        Exit.SOURCE_MISSING,
        "the sample medium of pydicom is not installed",
        "install pydicom with its data: pip install --force-reinstall pydicom",
    ),
    Problem.DEMO_FOLDER: Complaint(
        Exit.MOUNTPOINT_NOT_FOLDER,
        "{name} is not a folder, or not yours",
        "set XDG_RUNTIME_DIR to a folder of your own",
    ),
    Problem.NO_PLACE: Complaint(
        Exit.MOUNTPOINT_MISSING,
        "there is no MOUNTPOINT, and {name} cannot be made: {reason}",
        "give an empty folder of yours behind SOURCE",
    ),
    Problem.NAMESPACE: Complaint(
        Exit.MOUNT_REFUSED,
        "the mount namespace {name} cannot be entered: {reason}",
        "give the file of one, such as /proc/PID/ns/mnt, as root",
    ),
    Problem.NO_FUSE_DEVICE: Complaint(
        Exit.NO_FUSE_DEVICE,
        "{name} cannot be opened: {reason}",
        "load the kernel module (sudo modprobe fuse); in a container add "
        "--device /dev/fuse --cap-add SYS_ADMIN",
    ),
    Problem.NO_FUSERMOUNT: Complaint(
        Exit.NO_FUSERMOUNT,
        "{name} is not installed",
        "install it: sudo apt install fuse3 (Fedora, Arch, openSUSE: package fuse3)",
    ),
    Problem.NO_PYFUSE3: Complaint(
        Exit.NO_PYFUSE3,
        "pyfuse3 is not installed",
        "install it: sudo apt install fuse3 libfuse3-dev pkg-config gcc python3-dev "
        "&& pip install pyfuse3",
    ),
    Problem.NOT_IMPORTED: Complaint(
        Exit.NO_PYFUSE3,
        "{name} cannot be imported: {reason}",
        "install it: pip install pyfuse3 (it needs the system packages fuse3 "
        "libfuse3-dev pkg-config gcc python3-dev)",
    ),
    # -- a source ----------------------------------------------------------------------
    Problem.SOURCE_MISSING: Complaint(
        Exit.SOURCE_MISSING,
        "there is no {name}",
        "look whether the medium is inserted and mounted, and how the path is spelt",
    ),
    Problem.SOURCE_MISSPELT: Complaint(
        Exit.SOURCE_MISSING,
        "there is no {name}; the nearest is {nearest}",
        "give that, if it is meant: {nearest:shell}",
    ),
    Problem.SOURCE_UNSUPPORTED: Complaint(
        Exit.SOURCE_UNSUPPORTED,
        "{name} is neither a folder, a DICOMDIR, an ISO or UDF image nor a ZIP or tar "
        "archive",
        "give the folder that the medium is mounted on, or an image of the medium",
    ),
    Problem.SOURCE_FOREIGN: Complaint(
        Exit.SOURCE_UNSUPPORTED,
        "{name} is {reason}, which is not read",
        "make a folder, an ISO image, or a ZIP or tar archive of it",
    ),
    Problem.SOURCE_UNREADABLE: Complaint(
        Exit.SOURCE_UNREADABLE,
        "{name} cannot be read: {reason}",
        "see that you may read it (ls -l), clean the disc, or try another drive",
    ),
    Problem.SOURCE_SILENT: Complaint(
        Exit.SOURCE_UNREADABLE,
        "the medium does not answer",
        "see whether the drive or the network works; or give it longer: --deadline",
    ),
    Problem.TOO_MUCH_COMPUTING: Complaint(
        Exit.SOURCE_UNREADABLE,
        "reading was ended after {seconds} seconds of computing, more than sound media take",
        "see what it is: a program may have made it to harm; or give fewer sources at once",
    ),
    Problem.TOO_MANY_SOURCES: Complaint(
        Exit.SOURCE_UNREADABLE,
        "{count} sources are more than {most} open files allow",
        "raise the limit (ulimit -Hn shows it), or give fewer sources",
    ),
    Problem.PASSWORD_NEEDED: Complaint(
        Exit.PASSWORD_NEEDED,
        "the archive cannot be opened: {reason}",
        "write the password into a file of yours and give it with --password-file",
    ),
    Problem.LIBRARY_NEEDED: Complaint(
        Exit.PASSWORD_NEEDED,
        "the archive cannot be opened: {reason}",
        "install it: pip install 'dicomfs[aes]' (with the package of Debian: "
        "sudo apt install python3-pycryptodome)",
    ),
    Problem.METHOD_UNSUPPORTED: Complaint(
        Exit.SOURCE_UNSUPPORTED,
        "the archive cannot be unpacked: {reason}",
        "unpack it with 7-Zip, and give the folder: 7z x -ounpacked ARCHIVE",
    ),
    Problem.ARCHIVE_SPLIT: Complaint(
        Exit.IMAGE_BROKEN,
        "the archive was split, and this is one part of it",
        "join all parts, and give the whole: zip -s 0 LAST.zip --out whole.zip",
    ),
    Problem.IMAGE_BROKEN: Complaint(
        Exit.IMAGE_BROKEN,
        "the image or archive is damaged: {reason}",
        "copy or download it again",
    ),
    Problem.NESTED_TOO_DEEP: Complaint(
        Exit.SOURCE_UNSUPPORTED,
        "{name} lies in too many archives",
        "unpack the outermost",
    ),
    Problem.TOO_MANY_IMAGES: Complaint(
        Exit.SOURCE_UNSUPPORTED,
        "{count:n more image} in the archive than the {most} that are opened",
        "unpack the archive, and give some of its images",
    ),
    # -- a URL -------------------------------------------------------------------------
    Problem.NO_FSSPEC: Complaint(
        Exit.SOURCE_UNSUPPORTED,
        "a URL cannot be read: fsspec is not installed",
        "install it: pip install 'dicomfs[remote]'",
    ),
    Problem.FETCHER_DIED: Complaint(
        Exit.SOURCE_UNREADABLE,
        "the process that reads over the network has ended",
        "run it again; if it stays so, see that fsspec can be imported: "
        "python -c 'import fsspec'",
    ),
    Problem.URL_IN_URL: Complaint(
        Exit.USAGE,
        "a URL inside another one (::) is not read",
        "give the URL of the image or archive itself: dicomfs looks inside",
    ),
    Problem.URL_LOCAL: Complaint(
        Exit.USAGE, "{name} leads to no other machine", "give the path itself"
    ),
    Problem.URL_MALFORMED: Complaint(Exit.USAGE, "a URL is not understood", _SPELLING),
    Problem.URL_WITH_PASSWORD: Complaint(
        Exit.USAGE,
        "a URL must not hold a password: everybody on this machine can see it",
        "put it where fsspec looks for it: ~/.netrc, ~/.aws/credentials, the "
        "environment, or ~/.config/fsspec",
    ),
    Problem.URL_EMPTY: Complaint(Exit.USAGE, "a URL leads nowhere", _SPELLING),
    Problem.URL_MISSING: Complaint(
        Exit.SOURCE_MISSING,
        "there is nothing at {name}",
        f"{_SPELLING}, and whether it is still there",
    ),
    Problem.URL_REFUSED: Complaint(
        Exit.SOURCE_UNREADABLE,
        "the server refuses {name}, or wants credentials",
        "put them where fsspec looks for them: ~/.netrc, ~/.aws/credentials, the "
        "environment; for a public bucket set FSSPEC_S3_ANON=true",
    ),
    Problem.URL_CHANGED: Complaint(
        Exit.SOURCE_UNREADABLE,
        "{name} is being changed",
        "try again when it is complete",
    ),
    Problem.URL_UNREACHABLE: Complaint(
        Exit.SOURCE_UNREADABLE,
        "the server of {name} does not answer as it should ({reason})",
        "see whether the network works, and the server's name",
    ),
    Problem.URL_NO_RANGES: Complaint(
        Exit.SOURCE_UNSUPPORTED,
        "the server of {name} sends only the whole and no part of it",
        "download it, and give the path of the file; or use a server that supports "
        "range requests",
    ),
    Problem.URL_NO_LIBRARY: Complaint(
        Exit.SOURCE_UNSUPPORTED,
        "what fsspec needs for {name} is not installed",
        "pip install 'dicomfs[remote]' brings HTTP and S3; others are named by "
        "fsspec's list of built-in implementations",
    ),
    Problem.URL_NO_PROTOCOL: Complaint(
        Exit.SOURCE_UNSUPPORTED, "fsspec knows no such protocol: {name}", _SPELLING
    ),
    Problem.URL_NO_FOLDERS: Complaint(
        Exit.SOURCE_UNSUPPORTED,
        "{name} is a folder of a web server, which cannot be listed",
        "give the URL of an image or archive",
    ),
    Problem.PATH_MISSING: Complaint(
        Exit.SOURCE_MISSING,
        "there is no {name} on the medium {source}{nearest}",
        "see what there is: {dicomfs} tree {source:shell}",
    ),
    Problem.DESTINATION_UNUSABLE: Complaint(
        Exit.DESTINATION,
        "{name} cannot be written into: {reason}",
        "DESTINATION comes last: give a folder of your own, or the name of a new one",
    ),
    Problem.DESTINATION_OVERLAPS: Complaint(
        Exit.DESTINATION, "{name} lies inside {source}", "give a folder elsewhere"
    ),
    Problem.DESTINATION_FAILED: Complaint(
        Exit.DESTINATION,
        "the copy cannot be written any more: {reason}",
        "make room, and run the same command again: it goes on where it stopped",
    ),
    # -- the File-sets of a source -----------------------------------------------------
    Problem.NO_DICOMDIR: Complaint(
        Exit.NO_DICOMDIR,
        "there is no DICOMDIR on the medium, down to {depth} folders deep",
        f"give the folder that holds the DICOMDIR; or {_SCAN}",
    ),
    Problem.ONLY_PACKED: Complaint(
        Exit.NO_DICOMDIR,
        "of {files:n file} on the medium none is in DICOM format, but {count} "
        "{count:is|are} packed by {count:itself|themselves}",
        "unpack them in a copy: gunzip --recursive FOLDER (or bunzip2, unxz)",
    ),
    Problem.NO_INSTANCE: Complaint(
        Exit.NO_DICOMDIR,
        "of {files:n file} on the medium none is in DICOM format",
        "give the folder that holds the files; if they are in an archive, unpack it",
    ),
    Problem.ONLY_IMAGES: Complaint(
        Exit.NO_DICOMDIR,
        "the folder is not a medium itself, but holds images or archives",
        "give those themselves, one or several of them",
    ),
    Problem.DICOMDIR_EMPTY: Complaint(
        Exit.NOT_DICOM,
        "the DICOMDIR is empty: it has no bytes",
        f"copy it again, or {_SCAN}",
    ),
    Problem.DICOMDIR_ENCRYPTED: Complaint(
        Exit.NOT_DICOM,
        "the medium is encrypted: its DICOMDIR is an enveloped CMS object",
        "decrypt it with the key of its recipient (PS3.15), then mount the result",
    ),
    Problem.DICOMDIR_SIGNED: Complaint(
        Exit.NOT_DICOM,
        "the medium is secured: its DICOMDIR is wrapped in a signed CMS object",
        "unwrap it first (openssl cms -verify), then mount the result",
    ),
    Problem.NOT_DICOM: Complaint(
        Exit.NOT_DICOM,
        "the DICOMDIR is not a DICOM directory: {reason}",
        f"look whether the medium was copied whole; or {_SCAN}",
    ),
    Problem.DICOMDIR_UNREADABLE: Complaint(
        Exit.SOURCE_UNREADABLE,
        "nothing of the DICOMDIR can be read: {reason}",
        f"clean the disc, or try another drive; or {_SCAN}",
    ),
    Problem.DICOMDIR_BROKEN: Complaint(
        Exit.DICOMDIR_BROKEN,
        "the DICOMDIR is damaged: {reason}",
        f"copy the medium again, or {_SCAN}",
    ),
    **mountfaults.TABLE,
}
