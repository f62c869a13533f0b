"""Memory management of long-lived processes."""

import ctypes
import gc


def return_freed_memory() -> None:
    """Return freed memory to the system, for use after loading something large. Only with glibc."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
