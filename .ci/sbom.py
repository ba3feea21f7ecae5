"""Writes what the program is built from for one target, as CycloneDX 1.5: every crate with its version, licence,
checksum and what it depends on. Crates that tests alone use are not in it.

sbom.py TARGET
"""

import json
import os
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

target = sys.argv[1]
command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
lock = tomllib.loads(Path("Cargo.lock").read_text())
checksums = {(one["name"], one["version"]): one.get("checksum") for one in lock["package"]}
packages = {one["id"]: one for one in metadata["packages"]}
nodes = {one["id"]: one for one in metadata["resolve"]["nodes"]}


def needed(node):
    """What is built into the program, or runs while it is built."""
    kinds = lambda dependency: {kind["kind"] for kind in dependency["dep_kinds"]}
    return sorted(one["pkg"] for one in node["deps"] if kinds(one) - {"dev"})


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package):
    found = {
        "type": "library",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
    }
    if package["license"]:
        # Cargo allowed a slash for "or" once.
        found["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if checksum := checksums[package["name"], package["version"]]:
        found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return found


root = metadata["resolve"]["root"]
seen, ahead = {root}, [root]
while ahead:
    more = [one for one in needed(nodes[ahead.pop()]) if one not in seen]
    seen.update(more)
    ahead.extend(more)

crates = sorted(seen - {root}, key=lambda one: reference(packages[one]))
made = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
document = {
    "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "version": 1,
    "metadata": {
        "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "component": {**component(packages[root]), "type": "application"},
        "properties": [{"name": "cargo:target", "value": target}],
    },
    "components": [component(packages[one]) for one in crates],
    "dependencies": [
        {"ref": reference(packages[one]), "dependsOn": [reference(packages[other]) for other in needed(nodes[one])]}
        for one in [root, *crates]
    ],
}
print(json.dumps(document, indent=1))
