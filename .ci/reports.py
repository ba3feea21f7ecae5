"""Reads reports with parsers that their readers use: JUnit XML, Prometheus metrics, SARIF and HTML.

Arguments: folders with `*.junit.xml`, `*.prom`, `*.sarif` and `*.html`; beside a `NAME.prom` there may be the `NAME.json` of the same plan.
"""

import gzip
import json
import sys
from html.parser import HTMLParser
from pathlib import Path

from junitparser import JUnitXml
from prometheus_client.parser import text_string_to_metric_families

VOID = {"meta", "link", "br", "img", "input", "hr", "wbr"}
NEVER = {"script", "img", "link", "iframe", "object", "embed", "form", "base"}


class Page(HTMLParser):
    """Counts elements, and notes those that are left open or should not be there."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.count = [], [], 0

    def handle_starttag(self, tag, attributes):
        self.count += 1
        if tag in NEVER or any(name.startswith("on") or name == "style" for name, _ in attributes):
            self.wrong.append(f"<{tag} {attributes}>")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")


def junit(path: Path) -> str:
    """Every case is in a suite, and the counts in the file are those of the cases."""
    report = JUnitXml.fromfile(str(path))
    cases = [case for suite in report for case in suite]
    failed = sum(1 for case in cases if case.is_failure)
    skipped = sum(1 for case in cases if case.is_skipped)
    assert cases and all(case.name for case in cases), path
    assert (report.tests, report.failures, report.skipped) == (len(cases), failed, skipped), path
    # What GitLab takes; it counts elements and attributes.
    assert path.stat().st_size < 30_000_000, path
    objects = sum(1 + len(one.attrib) for one in report._elem.iter())
    assert objects < 250_000, (path, objects)
    return f"{len(cases)} tests, {failed} failures, {skipped} skipped"


def metrics(path: Path) -> str:
    """Every metric is a described gauge, and the tokens are those of the plan."""
    families = {family.name: family for family in text_string_to_metric_families(path.read_text())}
    for family in families.values():
        assert family.type == "gauge" and family.documentation and family.samples, family
    plan = path.with_suffix(".json")
    if plan.exists():
        seen = sum(target["tokens_seen"] for target in json.loads(plan.read_text())["targets"])
        assert sum(sample.value for sample in families["tokenwarden_tokens"].samples) == seen, seen
    return f"{len(families)} metrics, {sum(len(family.samples) for family in families.values())} samples"


def sarif(path: Path) -> str:
    """No more than GitHub's code scanning takes: of runs, of results and rules of a run, and of megabytes."""
    runs = json.loads(path.read_text())["runs"]
    results = [len(run["results"]) for run in runs]
    assert len(runs) <= 20 and max(results) <= 25_000, (len(runs), results)
    assert all(rule["helpUri"] for run in runs for rule in run["tool"]["driver"]["rules"]), path
    size = len(gzip.compress(path.read_bytes()))
    assert size < 10_000_000, (path, size)
    return f"{len(runs)} runs, {sum(results)} results, {size} bytes compressed"


def page(path: Path) -> str:
    """Every element is closed, and none could run or load something."""
    reader = Page()
    reader.feed(path.read_text())
    reader.close()
    assert not reader.wrong and not reader.open, (reader.wrong, reader.open)
    return f"{reader.count} elements"


def main() -> None:
    """Reads every report of the folders; an assertion names the one that is wrong."""
    read = 0
    for folder in map(Path, sys.argv[1:]):
        for pattern, check in (("*.junit.xml", junit), ("*.prom", metrics), ("*.sarif", sarif), ("*.html", page)):
            for path in sorted(folder.glob(pattern)):
                print(f"{path.name}: {check(path)}")
                read += 1
    assert read >= 6, "every kind, harmless and hostile"


if __name__ == "__main__":
    main()
