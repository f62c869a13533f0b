"""Clients that send requests continuously during a disruption and never retry."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx2

from tests.faults.stack import CLIENT_TIMEOUT_S, WHOLE_ANSWER, Stack, order
from tests.support.processes import wait_until

CHAT = {"model": "deepseek-chat", "max_tokens": WHOLE_ANSWER, "messages": [{"role": "user", "content": "Hello"}]}
END = "data: [DONE]"


class Load:
    """Three clients: one enqueues, one waits for answers, one reads streams. Each pauses `pause_s` between requests."""

    def __init__(self, stack: Stack, url: str, pause_s: float = 0.6) -> None:
        self._url, self._pause_s = url, pause_s
        self._headers = {"Authorization": f"Bearer {stack.keys['north']}"}
        self._over = threading.Event()
        self.accepted: list[str] = []
        self.done = {"enqueue": 0, "wait": 0, "stream": 0}
        self.failures: list[str] = []
        sends = {"enqueue": self._enqueue, "wait": self._wait, "stream": self._stream}
        self._threads = [threading.Thread(target=self._send, args=each) for each in sends.items()]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count: int) -> None:
        """Wait until every client has sent `count` more requests."""
        goal = {name: done + count for name, done in self.done.items()}
        wait_until(lambda: all(self.done[name] >= most for name, most in goal.items()), f"{count} more of each client")

    def _send(self, name: str, send: Callable[[httpx2.Client], str]) -> None:
        with httpx2.Client(
            base_url=self._url, headers=self._headers, trust_env=False, timeout=CLIENT_TIMEOUT_S
        ) as client:
            while not self._over.wait(self._pause_s):
                try:
                    problem = send(client)
                except httpx2.HTTPError as error:
                    problem = repr(error)
                self.done[name] += 1
                if problem:
                    self.failures.append(f"{name}: {problem}")

    def _enqueue(self, client: httpx2.Client) -> str:
        answer = client.post("/api/ai/queue", json=order(f"Question {self.done['enqueue']}"))
        if answer.status_code != httpx2.codes.ACCEPTED:
            return f"{answer.status_code} {answer.text}"
        self.accepted.append(str(answer.json()["requestId"]))
        return ""

    def _wait(self, client: httpx2.Client) -> str:
        body = {**order(f"Question {self.done['wait']}"), "wait": True, "cache": "bypass"}
        answer = client.post("/api/ai/chat", json=body)
        return "" if answer.is_success else f"{answer.status_code} {answer.text}"

    def _stream(self, client: httpx2.Client) -> str:
        body, headers = {**CHAT, "stream": True}, {"x-aiinfra-cache": "bypass"}
        with client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
            text = answer.read().decode()
        return "" if answer.is_success and END in text else f"{answer.status_code} {text[-500:]}"
