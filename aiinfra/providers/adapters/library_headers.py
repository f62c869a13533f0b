"""Headers in which the official clients describe the host: its operating system, Python, and timeouts.

Providers don't need them, and they would be half of the headers of a call.
"""

OF_CLIENTS = ("Lang", "Package-Version", "OS", "Arch", "Runtime", "Runtime-Version", "Async")
OF_CALLS = ("Retry-Count", "Timeout", "Read-Timeout")
LIBRARY_HEADERS = tuple(f"X-Stainless-{name}" for name in (*OF_CLIENTS, *OF_CALLS))
"""Each client leaves out a header whose value is its `omit`."""
