"""`python benchmarks/_upstream.py PORT`: a provider that takes almost no time, so that only the gateway is measured.

It responds to every chat completion immediately with the same text, or with 50 events if a stream is requested. If the
prompt contains SLOWLY, the stream starts after half a second with the current time and has an event every 20 ms.
"""

import asyncio
import json
import sys
import time

CHUNKS = 50
USAGE = {"prompt_tokens": 100, "completion_tokens": CHUNKS, "total_tokens": 100 + CHUNKS}
HEAD = {"id": "c1", "created": 1, "model": "fast"}


def _response(body: bytes, kind: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _whole() -> bytes:
    message = {"role": "assistant", "content": "word " * CHUNKS}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}
    return _response(json.dumps(answer).encode(), "application/json")


def _stream() -> bytes:
    head = {**HEAD, "object": "chat.completion.chunk"}
    deltas = [{"role": "assistant", "content": "word "}, *({"content": "word "} for _ in range(CHUNKS - 1))]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({**head, "choices": [], "usage": USAGE})
    events = [*map(json.dumps, chunks), "[DONE]"]
    return _response("".join(f"data: {event}\n\n" for event in events).encode(), "text/event-stream")


WHOLE, STREAM = _whole(), _stream()
SLOWLY, THINKS_S, GAP_S = b"SLOWLY", 0.5, 0.02
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def stream_slowly(writer: asyncio.StreamWriter) -> None:
    """The events of a stream one by one."""
    *events, done = STREAM.partition(b"\r\n\r\n")[2].split(b"\n\n")[:-1]
    writer.write(CHUNKED)
    await asyncio.sleep(THINKS_S)
    events[0] = events[0].replace(b"word ", f"{time.time():.6f}".encode())
    for event in (*events, done):
        writer.write(b"%x\r\n%s\n\n\r\n" % (len(event) + 2, event))
        await writer.drain()
        await asyncio.sleep(GAP_S)
    writer.write(b"0\r\n\r\n")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond to the requests of one connection."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.lower().split(b"\r\n")
            length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
            body = await reader.readexactly(length)
            if SLOWLY in body:
                await stream_slowly(writer)
            else:
                writer.write(STREAM if b'"stream":true' in body.replace(b" ", b"") else WHOLE)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        """The client has disconnected."""
    finally:
        writer.close()


async def main(port: int) -> None:
    """Serve until the process ends."""
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
