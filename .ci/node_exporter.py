"""Lets a real node_exporter read every `*.prom` of a folder together, and looks that it says all that is in them.

node_exporter.py PROGRAM FOLDER
"""

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families


def samples(text):
    families = text_string_to_metric_families(text)
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


program, folder = sys.argv[1:]
files = sorted(Path(folder).glob("*.prom"))
assert len(files) > 1, "one file cannot collide with another"
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{free.getsockname()[1]}"
options = ["--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={folder}"]
exporter = subprocess.Popen([program, *options, f"--web.listen-address={address}"], stderr=subprocess.DEVNULL)
try:
    for _ in range(100):
        assert exporter.poll() is None, "it ended"
        try:
            told = urllib.request.urlopen(f"http://{address}/metrics", timeout=30).read().decode()
            break
        except OSError:
            time.sleep(0.1)
    else:
        raise SystemExit("it does not answer")
finally:
    exporter.terminate()
    exporter.wait()

told = samples(told)
assert told["node_textfile_scrape_error", ()] == 0
expected = {}
for file in files:
    of_file = samples(file.read_text())
    assert of_file and not of_file.keys() & expected.keys(), file
    expected.update(of_file)
assert {key: told.get(key) for key in expected} == expected
print(f"node_exporter: {len(expected)} samples of {len(files)} files")
