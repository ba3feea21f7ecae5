"""A server before another one on this machine, which lets every write wait so that somebody can press Ctrl-C. It does
not tell that changes can be made together, as older servers do not, so that there are many writes.

Arguments: the address of the other one, and for how many seconds a write waits. It prints its own address.
"""

import json
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

UPSTREAM, WAIT = sys.argv[1], float(sys.argv[2])
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "date", "server"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.command in ("PATCH", "DELETE"):
            time.sleep(WAIT)
        upstream = HTTPConnection(UPSTREAM)
        upstream.request(self.command, self.path, body, {name: value for name, value in self.headers.items()})
        answer = upstream.getresponse()
        content = answer.read()
        if self.command == "GET" and self.path.split("?")[0].endswith("/runs") and answer.status == 200:
            told = json.loads(content)
            told.pop("changes_at_most")
            content = json.dumps(told).encode()
        # Nobody may be there any more: a run that was interrupted reads no further.
        with suppress(ConnectionError):
            self.pass_on(answer, content)

    def pass_on(self, answer, content):
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = forward

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
