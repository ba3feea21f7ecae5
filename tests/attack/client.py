"""A client of HTTP/1.1 that is as small as can be, and what the server acknowledged to clients."""

import asyncio
import base64
import json

TOKENS = "/rest/de.resolution.apitokenauth/latest/user"
WHOAMI = "/rest/tokenwarden/1/whoami"
OPENAPI = "/rest/tokenwarden/1/openapi.json"
BROKEN = (OSError, EOFError, ValueError, TimeoutError)
"""What a connection ends with that breaks."""


def bearer(secret: str) -> str:
    """The header line for a token."""
    return f"Authorization: Bearer {secret}\r\n"


def basic(user: str, password: str) -> str:
    """The header line for a password."""
    return f"Authorization: Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}\r\n"


class Connection:
    """A connection from `source`, an address of this machine, which is kept as long as it lasts."""

    def __init__(self, port: int, source: str) -> None:
        self.port, self.source = port, source
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Connects, unless that was done."""
        if self.writer is None:
            opening = asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.source, 0))
            self.reader, self.writer = await asyncio.wait_for(opening, 20)

    def close(self) -> None:
        """Goes away."""
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def ask(self, method: str, path: str, headers: str = "", body: object = None) -> tuple[int, bytes]:
        """Status and body of the answer."""
        try:
            return await asyncio.wait_for(self.exchange(method, path, headers, body), 40)
        except BROKEN:
            self.close()
            raise

    async def exchange(self, method: str, path: str, headers: str, body: object) -> tuple[int, bytes]:
        """Sends a request and reads its answer."""
        await self.open()
        sent = b"" if body is None else json.dumps(body).encode()
        kind = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n"
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}{kind}\r\n".encode() + sent)
        await self.writer.drain()
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        answer = await self.reader.readexactly(int(fields.get("content-length", 0)))
        if fields.get("connection") == "close":
            self.close()
        return int(head[0].split(" ")[1]), answer


class Ledger:
    """What was acknowledged: tokens that were made, and those of them that were revoked."""

    def __init__(self) -> None:
        self.live: dict[int, str] = {}
        self.revoked: dict[int, str] = {}

    async def make(self, connection: Connection, credential: str) -> tuple[int, int]:
        """Makes a token; the status, and the number of the token."""
        body = {"tokenScope": 2, "tokenDescription": "made under attack"}
        status, answer = await connection.ask("POST", f"{TOKENS}/token", credential, body)
        if status != 200:
            return status, 0
        made = json.loads(answer)
        self.live[made["id"]] = made["plainTextToken"]
        return status, made["id"]

    async def revoke(self, connection: Connection, token: int, credential: str) -> int:
        """Revokes a token, and answers the status. Until it answers, nobody knows whether the token is revoked."""
        secret = self.live.pop(token)
        status, _ = await connection.ask("DELETE", f"{TOKENS}/token/{token}", credential)
        if status == 200:
            self.revoked[token] = secret
        elif status in (401, 429, 503):
            self.live[token] = secret
        return status

    async def check(self, port: int, source: str) -> list[str]:
        """What is not as it was acknowledged."""
        connection, wrong = Connection(port, source), []
        for expected, secrets in ((200, self.live), (401, self.revoked)):
            for token, secret in secrets.items():
                status, _ = await connection.ask("GET", WHOAMI, bearer(secret))
                if status != expected:
                    wrong.append(f"token {token} answers {status} instead of {expected}")
        connection.close()
        return wrong
