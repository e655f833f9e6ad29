"""What becomes of memory that a step frees, on a CPU."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_NEVER = 2**31 - 1
_OLD_LIMIT = 32 * 2**20  # glibc before 2.35 takes no larger threshold


def keep_freed_memory() -> None:
    """Has this process keep what it frees, so that the next step need not ask for it again.

    glibc returns large blocks to the operating system at once, and gets them back page by page,
    emptied: a tenth of a step's time. Where the C library is another one, nothing changes. The
    process's memory does not shrink from then on; its peak is the same.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _NEVER)
        if not mallopt(_MMAP_THRESHOLD, _NEVER):
            mallopt(_MMAP_THRESHOLD, _OLD_LIMIT)
