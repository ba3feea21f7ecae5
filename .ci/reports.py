"""Reads reports with parsers that their readers use: JUnit XML, Prometheus metrics and HTML.

Arguments: folders with `*.junit.xml`, `*.prom` and `*.html`; beside a `NAME.prom` there may be the `NAME.json` of the same plan.
"""

import json
import sys
from html.parser import HTMLParser
from pathlib import Path

from junitparser import JUnitXml
from prometheus_client.parser import text_string_to_metric_families

VOID = {"meta", "link", "br", "img", "input", "hr"}
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
        for pattern, check in (("*.junit.xml", junit), ("*.prom", metrics), ("*.html", page)):
            for path in sorted(folder.glob(pattern)):
                print(f"{path.name}: {check(path)}")
                read += 1
    assert read >= 6, "every kind, harmless and hostile"


if __name__ == "__main__":
    main()
