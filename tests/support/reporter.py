"""A program that reports its arguments, environment, and files, and exits with status 3; see `test_forked`."""

import json
import os
import signal
import sys
import time

CODE = ("aiinfra", "cost_app", "django")
LASTING = "lasting"

if __name__ == "__main__":
    *descriptors, _its_own = sorted(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208 - only names
    report = {
        "arguments": sys.argv[1:],
        "environment": {**os.environ},
        "input": "" if LASTING in sys.argv else sys.stdin.read(),
        "descriptors": descriptors,
        "leads_session": os.getsid(0) == os.getpid(),
        "obeys_its_terminal": signal.getsignal(signal.SIGHUP) == signal.SIG_DFL,
        "loads": sorted(set(CODE) & sys.modules.keys()),
    }
    print(json.dumps(report), flush=True)
    print("an error", file=sys.stderr, flush=True)
    while LASTING in sys.argv:
        time.sleep(60)
    sys.exit(3)
