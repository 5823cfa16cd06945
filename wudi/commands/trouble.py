"""What goes wrong with files and disks, and what mends it."""

import errno

DISK = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk's quota is used up; free some space",
    errno.EFBIG: "a file would be larger than the disk or `ulimit -f` allows; raise the limit or write elsewhere",
    errno.EIO: "the disk reads or writes no more (an input/output error); see to it",
    errno.EMFILE: "too many files are open; raise the limit (`ulimit -n 65536`)",
}
"""Of the machine as a whole."""

PLACE = {
    errno.EACCES: "permission denied; see who may read and write it (`ls -ld`)",
    errno.EPERM: "not permitted; see who may change it (`ls -ld`, `lsattr -d`)",
    errno.EROFS: "is on a disk that cannot be written; write elsewhere, or mount it for writing",
    errno.EISDIR: "is a folder where a file should be; move it away",
    errno.EEXIST: "is there already, but no folder; move it away",
    errno.ENAMETOOLONG: "is too long a name; take a shorter one",
    errno.ENOTDIR: "is a file where a folder should be, or lies below one; move it away",
}
"""Of one file or folder. Any other error of the system is one of this program."""


def mend(error: OSError) -> str | None:
    """What to do about an error of the system, as a sentence without its end; None where the program is wrong."""
    if error.errno in DISK:
        return DISK[error.errno]
    words = PLACE.get(error.errno or 0)
    return f"{error.filename}: {words}" if words and error.filename else words
