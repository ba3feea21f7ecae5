"""The server under attack: a process with few files, over a store on a small disk, whose log is read or not."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import tempfile
from pathlib import Path

FILES = 1024
"""So many files the process may have open."""
MEMORY = 256 << 20
"""So many bytes of memory it may take."""
DISK = 48 << 20
USERS = ["root", "mary", "sam"]
DIRECTORY = "\n".join(
    ["users:"]
    + [f"  - {{name: {name}, password_env: {name}}}" for name in USERS]
    + ["groups:", "  administrators: [root]", ""]
)


class Disk:
    """A folder whose disk can be full: one of its own where that may be mounted, otherwise a limit on files."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="attack-"))
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(self.folder)]
        self.is_mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0

    def fill(self, pid: int) -> None:
        """Leaves no room."""
        if not self.is_mounted:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            return
        with (self.folder / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                pass

    def free(self, pid: int) -> None:
        """Makes room again."""
        if self.is_mounted:
            (self.folder / "filler").unlink()
        else:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def remove(self) -> None:
        """Takes it away."""
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False)
        else:
            for file in self.folder.iterdir():
                file.unlink()
        self.folder.rmdir()


class Server:
    """One process of the server, and those that follow it over the same store."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.disk = Disk()
        (self.disk.folder / "directory.yaml").write_text(DIRECTORY)
        self.process: asyncio.subprocess.Process | None = None
        self.port = 0
        self.log_is_read = asyncio.Event()
        self.log_is_read.set()
        self.lost = 0
        self.reading: asyncio.Task | None = None

    async def start(self) -> None:
        """Starts a process, at the same port as the one before."""
        store = self.disk.folder / "store.db"
        arguments = ["serve", "--store", f"sqlite:{store}", "--listen", f"127.0.0.1:{self.port}"]
        arguments += [] if store.exists() else ["--create"]
        arguments += ["--directory", str(self.disk.folder / "directory.yaml"), "--log-format", "json"]
        self.process = await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | {name: name for name in USERS},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES)),
            # Python ignores SIGXFSZ, and so does what it starts: a file over its limit is an error, not the end.
            restore_signals=False,
        )
        self.port = int((await self.listening())["url"].rsplit(":", 1)[1])
        self.reading = asyncio.create_task(self.read_log(self.process.stderr))

    async def listening(self) -> dict:
        """The line of the log that says where the process listens; others may come before it."""
        before = []
        while line := await self.process.stderr.readline():
            told = json.loads(line)
            if "url" in told:
                return told
            before.append(told)
        raise AssertionError(f"the server did not start: {before}")

    async def read_log(self, log: asyncio.StreamReader) -> None:
        """Reads the log as long as somebody is to read it."""
        while True:
            await self.log_is_read.wait()
            try:
                line = await log.readline()
            except ValueError:
                raise AssertionError("a line of the log is longer than 64 KiB") from None
            if not line:
                return
            if b'"lost"' in line:
                self.lost += json.loads(line)["lost"]

    async def kill(self) -> None:
        """Ends the process at once, whatever it is doing."""
        self.process.kill()
        await self.process.wait()
        self.log_is_read.set()
        await self.reading

    async def stop(self) -> int:
        """Asks the process to stop, and answers its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.process.wait(), 45)
        except TimeoutError:
            await self.kill()
            return -1

    def status(self, key: str) -> int:
        """A figure of the process, such as `VmRSS`, in bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) << 10
        return 0

    def files(self) -> int:
        """How many files the process has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))
