"""The settings that the running product was started with: another terminal may not have its variables."""

import json
from pathlib import Path
from urllib.parse import urlsplit

CONFIGURATION = "supervisord.conf"
PROCESS_ID = "supervisord.pid"
ADDRESSES = "addresses.json"


def port_of_running(data_dir: Path) -> int | None:
    """The port of the running web server; None if nothing runs from this directory."""
    try:
        process_id = int((data_dir / PROCESS_ID).read_text(encoding="utf-8"))
        web: str = json.loads((data_dir / ADDRESSES).read_text(encoding="utf-8"))["web"]
    except (OSError, ValueError, KeyError):
        return None
    return urlsplit(web).port if _is_supervisor(process_id, data_dir) else None


def _is_supervisor(process_id: int, data_dir: Path) -> bool:
    """A killed supervisor leaves its PID file behind, and the PID may now belong to another program."""
    import psutil  # only where something runs: every program reads its settings

    try:
        return str(data_dir / CONFIGURATION) in psutil.Process(process_id).cmdline()
    except psutil.Error:
        return False
