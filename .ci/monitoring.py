"""Checks the Grafana dashboard: each expression is one that Prometheus parses, over metrics that the program has.

monitoring.py DASHBOARD FOLDER_OF_SOURCES
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

dashboard = json.loads(pathlib.Path(sys.argv[1]).read_text())
sources = "".join(path.read_text() for path in pathlib.Path(sys.argv[2]).rglob("*.rs"))
expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
assert expressions, "the dashboard shows nothing"

with tempfile.NamedTemporaryFile("w", suffix=".yaml") as rules:
    group = [{"record": f"panel:expression:{number}", "expr": text} for number, text in enumerate(expressions)]
    json.dump({"groups": [{"name": "panels", "rules": group}]}, rules)  # JSON is YAML
    rules.flush()
    subprocess.run(["promtool", "check", "rules", rules.name], check=True, stdout=subprocess.DEVNULL)

alerts = pathlib.Path(sys.argv[1]).with_name("alerts.yaml").read_text()
for name in sorted(set(re.findall(r"tokenwarden_[a-z_]+", " ".join(expressions) + alerts))):
    metric = re.sub(r"_(bucket|sum|count)$", "", name)
    assert metric in sources, f"{name} is no metric of the program"
print(f"{len(expressions)} expressions of the dashboard")
