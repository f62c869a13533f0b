"""Run the sandbox provider: `python -m aiinfra.providers.sandbox --port N`."""

import argparse

import uvicorn

from aiinfra.configuration.reading import read_or_exit
from aiinfra.configuration.table.places import ROOT


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="sandbox", description="A provider that runs locally and costs nothing.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    read_or_exit(ROOT / ".env")
    uvicorn.run(
        "aiinfra.providers.sandbox.app:app",
        host=arguments.host,
        port=arguments.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
