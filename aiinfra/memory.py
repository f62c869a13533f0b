"""Memory of long-lived processes."""

import ctypes
import gc


def return_freed_memory() -> None:
    """Give freed memory back to the system, after something large was loaded. Does nothing where libc isn't glibc."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
