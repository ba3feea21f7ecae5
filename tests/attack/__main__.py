"""Attacks a server on this machine as an anonymous client, a user and a bad day of its operator would, for a bounded
time, and says what did not hold.

    python3 -B tests/attack PROGRAM [--seconds 180]

What must hold: what was acknowledged is so, also after `kill -9`; what was revoked is refused; what cannot be done is
not answered with a 2xx; others wait no more than ten times as long as at rest; the server stays within 256 MiB and 1,024
files, and gives back what an attack took. Only loopback addresses are used, and only processes that this one started
are ended.
"""

import argparse
import asyncio
import contextlib
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

from client import BROKEN, OPENAPI, TOKENS, WHOAMI, Connection, Ledger, basic, bearer
from http2 import KINDS, Flood
from server import FILES, MEMORY, Server

OPERATOR = "127.0.0.3"
CLIENTS = [f"127.0.0.{number}" for number in range(4, 8)]
ATTACKERS = [f"127.0.0.{number}" for number in range(100, 103)]
"""Each of them may have a quarter of the connections; the last quarter is for everybody else."""
OF_EACH = 240
TIMES = 10
"""So many times as long as at rest others may wait."""
AT_LEAST_REST = 0.02
"""A rest that is shorter, in seconds, says more of the machine than of the server."""
REFUSED = 0.05
"""The part of the requests of others that may be refused with 503 for the moment."""
LOG_HOLDS = 3000
"""No more lines of the log than that wait somewhere until they are read."""
GIVEN_BACK = 48 << 20
"""What may be left of memory that an attack took, in bytes."""


class Attack:
    """The server, others on it, and what did not hold."""

    def __init__(self, program: str) -> None:
        self.server, self.ledger = Server(program), Ledger()
        self.samples: list[tuple[float, float, int]] = []
        self.breaches: list[str] = []
        self.rows: list[list[str]] = []
        self.rest = AT_LEAST_REST
        self.bystander: asyncio.subprocess.Process | None = None
        self.stage = ""

    def holds(self, condition: bool, what: str) -> None:
        """Notes that something does not hold."""
        if not condition:
            self.breaches.append(f"{self.stage}: {what}")

    async def begin(self) -> None:
        """Starts the server, and somebody else on it."""
        await self.server.start()
        connection = Connection(self.server.port, OPERATOR)
        status, _ = await self.ledger.make(connection, basic("sam", "sam"))
        assert status == 200, status
        connection.close()
        (secret,) = self.ledger.live.values()
        self.bystander = await asyncio.create_subprocess_exec(
            sys.executable,
            "-B",
            str(Path(__file__).with_name("bystander.py")),
            str(self.server.port),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"SECRET": secret},
        )
        asyncio.get_running_loop().create_task(self.listen())
        # The attackers would be on machines of their own.
        os.nice(10)

    async def listen(self) -> None:
        """Collects what the bystander tells."""
        async for line in self.bystander.stdout:
            at, took, status = line.split()
            self.samples.append((float(at), float(took), int(status)))

    async def end(self) -> None:
        """Ends what was started."""
        if self.bystander is not None:
            self.bystander.kill()
            await self.bystander.wait()
        if self.server.process is not None and self.server.process.returncode is None:
            await self.server.kill()
        self.server.disk.remove()

    async def run(self, name: str, stage, seconds: float) -> None:
        """Runs one stage, and measures the others meanwhile."""
        self.stage, began = name, time.monotonic()
        told = await stage(asyncio.get_running_loop().time() + seconds)
        ended = time.monotonic()
        await asyncio.sleep(0.3)
        others = [(took, status) for at, took, status in self.samples if began <= at < ended]
        waits = sorted(took for took, _ in others)
        p99 = waits[len(waits) * 99 // 100] if waits else 0.0
        refused = sum(status != 200 for _, status in others)
        if name == "at rest":
            self.rest = max(p99, AT_LEAST_REST)
        peak = self.server.status("VmHWM")
        if name != "kill -9":
            self.holds(len(waits) > seconds, f"others asked {len(waits)} times in {ended - began:.0f} s")
            self.holds(
                p99 < TIMES * self.rest,
                f"others wait {p99 * 1000:.0f} ms (p99), at rest {self.rest * 1000:.0f} ms",
            )
            wrong = Counter(status for _, status in others if status not in (200, 503))
            self.holds(not wrong, f"others are answered {dict(wrong)}")
            self.holds(refused <= REFUSED * len(others), f"{refused} of {len(others)} requests of others are refused")
        self.holds(peak <= MEMORY, f"the server took {peak >> 20} MiB")
        figures = [f"{len(waits)}", f"{p99 * 1000:.1f}", f"{refused}", f"{self.server.status('VmRSS') >> 20}"]
        self.rows.append([name, f"{ended - began:.0f}", *figures, f"{peak >> 20}", str(self.server.files()), told])
        print(f"{name}: {told}", flush=True)

    async def sleep_until(self, until: float) -> None:
        """Does nothing until then."""
        await asyncio.sleep(max(until - asyncio.get_running_loop().time(), 0))

    async def at_rest(self, until: float) -> str:
        """Nothing happens."""
        await self.sleep_until(until)
        return "nothing else happens"

    async def under_load(self, until: float, wrong: Counter | None = None) -> str:
        """Users make tokens, use them, list them and revoke them."""
        done = Counter()
        work = [self.user(source, until, done) for source in CLIENTS for _ in range(4)]
        await asyncio.gather(*work)
        unexpected = {status: count for status, count in done.items() if status not in (200, 503)}
        if wrong is None:
            self.holds(not unexpected, f"users are answered {unexpected}")
        else:
            wrong.update(unexpected)
        return f"{sum(done.values())} calls, {done[503]} refused"

    async def user(self, source: str, until: float, done: Counter) -> None:
        """One user, until then or until the server is away."""
        connection, loop = Connection(self.server.port, source), asyncio.get_running_loop()
        own: list[int] = []
        # Checking a password takes long: the first token is made with one, and makes the others.
        while loop.time() < until:
            try:
                if len(own) < 4:
                    credential = bearer(self.ledger.live[own[0]]) if own else basic("mary", "mary")
                    status, token = await self.ledger.make(connection, credential)
                    own += [token] if token else []
                elif random.random() < 0.3:
                    token = own.pop(random.randrange(1, len(own)))
                    secret = self.ledger.live[token]
                    status = await self.ledger.revoke(connection, token, bearer(self.ledger.live[own[0]]))
                    if status == 200:
                        again, _ = await connection.ask("GET", WHOAMI, bearer(secret))
                        self.holds(again == 401, f"a revoked token is answered {again}")
                elif random.random() < 0.5:
                    path = f"{TOKENS}/token?limit=10"
                    status, _ = await connection.ask("GET", path, bearer(self.ledger.live[own[0]]))
                else:
                    status, _ = await connection.ask("GET", WHOAMI, bearer(self.ledger.live[random.choice(own)]))
                done[status] += 1
            except BROKEN:
                if self.server.process.returncode is not None or self.stage == "kill -9":
                    break
                done[0] += 1
            await asyncio.sleep(0.01)
        connection.close()

    async def silent(self, until: float) -> str:
        """Connections that say nothing, too little or too slowly, and those that take no answer."""
        beginnings = [b"", b"G", b"PRI * HTTP/2.0\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n", b"\x16\x03\x01"]
        loop, closed, opened, kept = asyncio.get_running_loop(), 0, 0, Counter()
        limit = loop.time() + 25

        async def one(source: str, beginning: bytes) -> None:
            nonlocal closed, opened
            try:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self.server.port, local_addr=(source, 0)
                )
                opened += 1
                writer.write(beginning)
                try:
                    await asyncio.wait_for(reader.read(-1), limit - loop.time())
                    closed += 1
                except TimeoutError:
                    kept[beginning] += 1
                writer.transport.abort()
            except OSError:
                closed += 1

        ends = max(until, limit)
        slow = [self.slow(source, kind, ends) for source in CLIENTS for kind in range(3)]
        waiting = [one(source, beginnings[n % 5]) for source in ATTACKERS for n in range(OF_EACH)]
        await asyncio.gather(*waiting, *slow)
        self.holds(closed == len(waiting), f"silent connections are kept for 25 s: {dict(kept)}")
        await self.sleep_until(until)
        return f"{opened} silent connections, all closed" if closed == len(waiting) else f"{closed} closed"

    async def slow(self, source: str, kind: int, until: float) -> None:
        """A client that sends its head or its body byte by byte, or asks for much and takes nothing."""
        loop = asyncio.get_running_loop()
        head = f"POST {TOKENS}/token HTTP/1.1\r\nHost: x\r\n{basic('mary', 'mary')}Content-Length: 900\r\n\r\n"
        text = [f"GET / HTTP/1.1\r\nX: {'x' * 900}", head + " " * 900, ""][kind].encode()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, local_addr=(source, 0))
            if kind == 2:
                writer.write(f"GET {OPENAPI} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 200)
                await self.sleep_until(until)
            else:
                begun = len(head) if kind == 1 else 0
                writer.write(text[:begun])
                for byte in text[begun:]:
                    if loop.time() > until or reader.at_eof():
                        break
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.5)
            writer.transport.abort()
        except OSError:
            pass

    async def flood1(self, until: float) -> str:
        """Anonymous requests, as many as go through: long paths, the largest answer, wrong tokens, absurd lengths."""
        done = Counter()
        head = " HTTP/1.1\r\nHost: x\r\n"
        requests = [
            f"GET {OPENAPI}{head}\r\n",
            f"GET /rest/{'x' * 6000}{head}\r\n",
            f"GET {WHOAMI}{head}{bearer('tw_' + 'x' * 49)}\r\n",
            f"POST {TOKENS}/token{head}Content-Length: 99999999999\r\n\r\n",
            f"GET {WHOAMI}{head}{'X-Filler: ' + 'x' * 90 + chr(13) + chr(10)}" * 50 + "\r\n",
            f"GET {TOKENS}/tokensByFilter?limit=1000{head}\r\n",
        ]
        async def one(source: str, number: int) -> None:
            loop = asyncio.get_running_loop()
            while loop.time() < until:
                try:
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", self.server.port, local_addr=(source, 0)
                    )
                    while loop.time() < until:
                        writer.write(requests[number % len(requests)].encode())
                        line = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
                        status, length = int(line.split()[1]), 0
                        for field in line.lower().split(b"\r\n"):
                            if field.startswith(b"content-length:"):
                                length = int(field[15:])
                        await reader.readexactly(length)
                        done[status] += 1
                        if b"connection: close" in line.lower():
                            break
                    writer.transport.abort()
                except BROKEN:
                    done[0] += 1
                    await asyncio.sleep(0.02)

        await asyncio.gather(*(one(source, n) for source in ATTACKERS for n in range(30)))
        found = {status: count for status, count in done.items() if status >= 500 and status != 503}
        self.holds(not found, f"the server fails: {found}")
        return ", ".join(f"{count} x {status or 'cut'}" for status, count in sorted(done.items()))

    async def flood2(self, until: float) -> str:
        """Every kind of flood in turn, from every attacker at once."""
        loop, told = asyncio.get_running_loop(), []
        each = (until - loop.time()) / len(KINDS)
        for kind in KINDS:
            flood, ends = Flood(self.server.port, kind), loop.time() + each
            await asyncio.gather(*(flood.run(source, ends) for source in ATTACKERS for _ in range(4)))
            told.append(f"{flood.sent} {kind}")
        return ", ".join(told)

    async def wrong_passwords(self, until: float) -> str:
        """Guesses at passwords, of users and of nobody; others still get in with the right one."""
        done, loop = Counter(), asyncio.get_running_loop()

        async def guess(source: str, number: int) -> None:
            connection = Connection(self.server.port, source)
            while loop.time() < until:
                user = ["root", "mary", f"nobody-{number}"][number % 3]
                with contextlib.suppress(*BROKEN):
                    status, _ = await connection.ask("GET", WHOAMI, basic(user, f"guess {random.random()}"))
                    done[status] += 1
                await asyncio.sleep(0.01)
            connection.close()

        addresses = [*ATTACKERS, *(f"127.0.1.{number}" for number in range(1, 20))]
        guesses = [asyncio.create_task(guess(source, n)) for source in addresses for n in range(6)]
        right, connection = Counter(), Connection(self.server.port, OPERATOR)
        while loop.time() < until:
            with contextlib.suppress(*BROKEN):
                status, _ = await connection.ask("GET", WHOAMI, basic("root", "root"))
                right[status] += 1
            await asyncio.sleep(0.3)
        await asyncio.gather(*guesses)
        connection.close()
        self.holds(done[200] == 0, f"{done[200]} wrong passwords are let in")
        self.holds(set(done) <= {401, 429, 503}, f"guesses are answered {dict(done)}")
        self.holds(right[200] > 0 and set(right) <= {200, 503}, f"the right password is answered {dict(right)}")
        return f"{done[401]} wrong, {done[429]} not looked at, {done[503]} busy; right one {dict(right)}"

    async def log_is_not_read(self, until: float) -> str:
        """Nobody takes the log; then somebody does again, and is told how much was lost."""
        loop, done, lost = asyncio.get_running_loop(), Counter(), self.server.lost
        secret = next(iter(self.ledger.live.values()))

        async def one(source: str) -> None:
            connection = Connection(self.server.port, source)
            while loop.time() < until:
                status, _ = await connection.ask("GET", WHOAMI, bearer(secret))
                done[status] += 1
            connection.close()

        self.server.log_is_read.clear()
        await asyncio.gather(*(one(source) for source in CLIENTS))
        self.server.log_is_read.set()
        self.holds(set(done) == {200}, f"users are answered {dict(done)}")
        limit = loop.time() + 10
        while self.server.lost == lost and done[200] > LOG_HOLDS and loop.time() < limit:
            await asyncio.sleep(0.1)
        lost = self.server.lost - lost
        self.holds(lost > 0 or done[200] <= LOG_HOLDS, "lost lines of the log are not told")
        return f"{done[200]} calls, {lost} lines of the log lost and told"

    async def full_disk(self, until: float) -> str:
        """Nothing can be written any more; then there is room again."""
        connection, loop = Connection(self.server.port, OPERATOR), asyncio.get_running_loop()
        _, own = await self.ledger.make(connection, basic("root", "root"))
        _, leaked = await self.ledger.make(connection, basic("root", "root"))
        secret, done, limit = self.ledger.live[leaked], Counter(), loop.time() + 60
        root, in_turn = bearer(self.ledger.live[own]), 0
        self.server.disk.fill(self.server.process.pid)
        # The store has room within its files for a while.
        while loop.time() < until or (in_turn < 5 and loop.time() < limit):
            status, _ = await self.ledger.make(connection, root)
            done[status] += 1
            in_turn = in_turn + 1 if status == 503 else 0
            await asyncio.sleep(0.1 if in_turn else 0)
        self.holds(done[503] > 0 and set(done) <= {200, 503}, f"tokens on a full disk: {dict(done)}")
        revoked = await self.ledger.revoke(connection, leaked, root)
        self.holds(revoked in (200, 503), f"a revocation on a full disk is answered {revoked}")
        wanted = {"/healthz": 503, "/readyz": 503} if revoked == 503 else {}
        for path, status in (wanted | {WHOAMI: 200 if revoked == 503 else 401}).items():
            found = await self.status_of(connection, path, secret if path == WHOAMI else "")
            self.holds(found == status, f"after a revocation on a full disk ({revoked}) {path} is {found}")
        self.server.disk.free(self.server.process.pid)
        if revoked == 503:
            status = await self.ledger.revoke(connection, leaked, root)
            self.holds(status == 200, f"a revocation once there is room is answered {status}")
        status = await self.status_of(connection, WHOAMI, secret)
        self.holds(status == 401, f"what was revoked then is answered {status}")
        connection.close()
        return f"{done[503]} writes refused, {done[200]} found room; revoked once there was room"

    async def status_of(self, connection: Connection, path: str, secret: str = "") -> int:
        """The status that `path` is answered with."""
        status, _ = await connection.ask("GET", path, bearer(secret) if secret else "")
        return status

    async def afterwards(self, until: float) -> str:
        """What was taken is given back, and what was acknowledged is so."""
        memory, files = self.before
        loop, limit = asyncio.get_running_loop(), asyncio.get_running_loop().time() + 40
        while (left := self.left()) != "" and loop.time() < limit:
            await asyncio.sleep(0.5)
        self.holds(left == "", f"{left}; at rest it were {memory >> 20} MiB and {files} files")
        wrong = await self.ledger.check(self.server.port, OPERATOR)
        self.holds(not wrong, "; ".join(wrong[:5]))
        await self.sleep_until(until)
        return f"{len(self.ledger.live)} tokens are live, {len(self.ledger.revoked)} revoked"

    def left(self) -> str:
        """What of memory and files was not given back; nothing when all was."""
        memory, files = self.before
        now = (self.server.status("VmRSS"), self.server.files())
        is_back = now[0] <= memory + GIVEN_BACK and now[1] <= files + 10
        return "" if is_back else f"{now[0] >> 20} MiB and {now[1]} files are left"

    async def killed(self, until: float) -> str:
        """The process is killed under load, again and again; what was acknowledged before is so afterwards."""
        loop, rounds = asyncio.get_running_loop(), 0
        while loop.time() < until or rounds == 0:
            load = asyncio.create_task(self.under_load(loop.time() + 30, Counter()))
            await asyncio.sleep(random.uniform(1, 2))
            await self.server.kill()
            await load
            await self.server.start()
            wrong = await self.ledger.check(self.server.port, OPERATOR)
            self.holds(not wrong, "; ".join(wrong[:5]))
            rounds += 1
        return f"{rounds} times; {len(self.ledger.live)} tokens are live, {len(self.ledger.revoked)} revoked"

    async def run_all(self, seconds: float) -> None:
        """All stages; each has its part of the time."""
        await self.begin()
        await self.run("at rest", self.at_rest, 0.08 * seconds)
        await self.run("load", self.under_load, 0.12 * seconds)
        self.before = (self.server.status("VmRSS"), self.server.files())
        await self.run("silent and slow clients", self.silent, 0.14 * seconds)
        await self.run("flood of HTTP/1", self.flood1, 0.1 * seconds)
        await self.run("flood of HTTP/2", self.flood2, 0.14 * seconds)
        await self.run("wrong passwords", self.wrong_passwords, 0.12 * seconds)
        await self.run("log that nobody reads", self.log_is_not_read, 0.08 * seconds)
        await self.run("full disk", self.full_disk, 0.06 * seconds)
        await self.run("afterwards", self.afterwards, 0.04 * seconds)
        await self.run("kill -9", self.killed, 0.12 * seconds)
        # A log that nobody takes holds up no end either.
        self.server.log_is_read.clear()
        code = await self.server.stop()
        self.holds(code == 0, f"asked to stop, the server ended with {code}")

    def tell(self) -> None:
        """The table, and what did not hold."""
        head = ["stage", "s", "others", "p99 ms", "refused", "MiB", "peak", "files", "what happened"]
        rows = [head, *self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head) - 1)]
        print(f"\nWithin {FILES} files and {MEMORY >> 20} MiB; others wait {self.rest * 1000:.1f} ms at rest (p99).")
        for row in rows:
            print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[-1]]))
        for breach in self.breaches:
            print(f"did not hold: {breach}")
        print("Everything held." if not self.breaches else f"{len(self.breaches)} things did not hold.")


async def main() -> int:
    """The exit code: 1 when something did not hold."""
    arguments = argparse.ArgumentParser(description="Attack a server on this machine.")
    arguments.add_argument("program")
    arguments.add_argument("--seconds", type=float, default=180, help="how long, about")
    given = arguments.parse_args()
    attack = Attack(str(Path(given.program).resolve()))
    try:
        # Whatever hangs ends too.
        await asyncio.wait_for(attack.run_all(given.seconds), 2 * given.seconds + 240)
    except TimeoutError:
        attack.holds(False, "it did not end in time")
    finally:
        await attack.end()
        attack.tell()
    return 1 if attack.breaches else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
