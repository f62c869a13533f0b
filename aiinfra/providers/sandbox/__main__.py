"""Run the sandbox provider: `python -m aiinfra.providers.sandbox --port N`."""

import argparse
import asyncio
import sys
from contextlib import suppress
from socket import socket
from types import FrameType

import uvicorn

from aiinfra.configuration.reading import read_or_exit
from aiinfra.configuration.table.places import ROOT


class Server(uvicorn.Server):
    """uvicorn's server, without its ten checks per second whether to stop: a signal ends the wait."""

    async def serve(self, sockets: list[socket] | None = None) -> None:
        """Serve until a signal."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        await super().serve(sockets)

    async def main_loop(self) -> None:
        """Wait for the signal."""
        await self.on_tick(0)
        await self._stopped.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On a signal."""
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._stopped.set)


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="sandbox", description="A provider that runs locally and costs nothing.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    read_or_exit(ROOT / ".env")
    configuration = uvicorn.Config(
        "aiinfra.providers.sandbox.app:app",
        host=arguments.host,
        port=arguments.port,
        access_log=False,
        log_level="warning",
        date_header=False,  # it would be written once per second
        timeout_graceful_shutdown=5,
    )
    server = Server(configuration)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    main()
