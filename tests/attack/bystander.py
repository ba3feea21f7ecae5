"""Somebody else on the server: asks who it is, again and again, and writes when, for how long and with which status.

Arguments: the port; the secret of a token, in the environment. Every tenth time it connects anew.
"""

import asyncio
import os
import sys
import time

from client import BROKEN, WHOAMI, Connection, bearer

SOURCE = "127.0.0.2"
EVERY = 0.02


async def main() -> None:
    """Asks until nobody reads what is written."""
    connection, number = Connection(int(sys.argv[1]), SOURCE), 0
    credential = bearer(os.environ["SECRET"])
    while True:
        number += 1
        if number % 10 == 0:
            connection.close()
        began = time.monotonic()
        try:
            status, _ = await connection.ask("GET", WHOAMI, credential)
        except BROKEN:
            status = 0
        print(began, time.monotonic() - began, status, flush=True)
        await asyncio.sleep(EVERY)


if __name__ == "__main__":
    asyncio.run(main())
