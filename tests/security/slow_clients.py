"""Measures a running product during an attack with 300 slow clients.

    python -m tests.security.slow_clients 127.0.0.1:8000 --web-pid PID [--seconds 30]

A third of the clients sends nothing, a third sends its headers byte by byte, and a third its body. Prints how long
`/healthz` took and how much the memory of the web processes grew, and exits with status 1 if a probe took a second or
more or memory grew by 50 MB or more. `manage.py status --json` shows the web server's PID.
"""

import argparse
import resource
import socket
import sys
import threading
import time
from http.client import HTTPConnection

import psutil

CLIENTS = 300
HEAD = b"GET /login/ HTTP/1.1\r\nHost: %b\r\nX-Long: "
BODY_HEAD = b"POST /api/ai/chat HTTP/1.1\r\nHost: %b\r\nContent-Length: 100000\r\n\r\n"
SLOWEST_S = 1.0
GROWTH_BYTES = 50 * 1024 * 1024
STEP_S = 0.2


class SlowClients:
    """The slow clients. A client that the server disconnects is replaced."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._heads = (b"", HEAD % host.encode(), BODY_HEAD % host.encode())
        self._clients = [self._connect(number % 3) for number in range(CLIENTS)]

    def step(self) -> None:
        """Send one more byte of each header and body."""
        for number, client in enumerate(self._clients):
            if number % 3:
                try:
                    client.sendall(b"x")
                except OSError:
                    client.close()
                    self._clients[number] = self._connect(number % 3)

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients:
            client.close()

    def _connect(self, kind: int) -> socket.socket:
        client = socket.create_connection(self._address, 10)
        client.sendall(self._heads[kind])
        return client


def main() -> int:
    """Run the attack, print the measurements, and return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--web-pid", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    host, _, port = options.address.partition(":")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    before = _memory(options.web_pid)
    taken = _under_attack(host, int(port), options.seconds)
    growth = _memory(options.web_pid) - before
    print(f"{len(taken)} probes, slowest {max(taken):.3f} s; memory grew by {growth / 1024 / 1024:.1f} MB")
    return int(max(taken) >= SLOWEST_S or growth >= GROWTH_BYTES)


def _under_attack(host: str, port: int, seconds: float) -> list[float]:
    """The duration of each probe during the attack."""
    clients, is_over = SlowClients(host, port), threading.Event()

    def trickle() -> None:
        while not is_over.wait(STEP_S):
            clients.step()

    thread = threading.Thread(target=trickle)
    thread.start()
    end, taken = time.monotonic() + seconds, []
    while time.monotonic() < end:
        taken.append(_probe(host, port))
        time.sleep(STEP_S)
    is_over.set()
    thread.join()
    clients.close()
    return taken


def _probe(host: str, port: int) -> float:
    began = time.monotonic()
    connection = HTTPConnection(host, port, timeout=30)
    connection.request("GET", "/healthz")
    status = connection.getresponse().status
    connection.close()
    if status != 200:
        raise SystemExit(f"/healthz returned {status}")
    return time.monotonic() - began


def _memory(pid: int) -> int:
    return sum(process.memory_info().rss for process in psutil.Process(pid).children(recursive=True))


if __name__ == "__main__":
    sys.exit(main())
