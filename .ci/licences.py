"""Checks that every dependency may be used under one of the licences that the project accepts."""

import json
import re
import subprocess
import sys

ACCEPTED = {
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "0BSD",
}


def accepted(expression: str) -> bool:
    """Whether an SPDX expression can be fulfilled with accepted licences alone."""
    tokens = re.findall(r"\(|\)|AND|OR|[A-Za-z0-9.+-]+(?: WITH [A-Za-z0-9.-]+)?", expression.replace("/", " OR "))
    words = ["True" if t in ACCEPTED else t.lower() if t in ("AND", "OR") else t if t in "()" else "False" for t in tokens]
    return bool(eval(" ".join(words), {"__builtins__": {}}))  # only True, False, and, or, brackets


def main() -> int:
    """Answers 1 when a dependency has no accepted licence, and names it."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    packages = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["packages"]
    refused = [f"{p['name']} {p['version']}: {p['license']}" for p in packages if not accepted(p["license"] or "")]
    print("\n".join(refused) or f"{len(packages)} packages, every licence is accepted")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
