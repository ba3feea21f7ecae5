"""Parses what `init` writes for CI systems, where no ready-made checker does it as a whole.

parse.py bamboo FILE FOLDER     writes each plan of the file as FOLDER/plan-N.json
parse.py groovy FILE..          fails when a file does not parse
parse.py shell SYSTEM FOLDER    prints the shell lines of the system's files
parse.py kustomization FOLDER   fails when a file is missing, or is not where the job looks for it
parse.py cyclonedx FILE..       fails when a file is not a valid bill of materials
"""

import json
import pathlib
import re
import sys

from ruamel.yaml import YAML


def documents(path):
    return list(YAML(typ="safe").load_all(pathlib.Path(path).read_text()))


def bamboo(file, folder):
    plans = documents(file)
    assert plans, f"{file} has no plan"
    for number, plan in enumerate(plans):
        (pathlib.Path(folder) / f"plan-{number}.json").write_text(json.dumps(plan))


def groovy(*files):
    import tree_sitter
    import tree_sitter_groovy

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_groovy.language()))
    for file in files:
        assert not parser.parse(pathlib.Path(file).read_bytes()).root_node.has_error, f"{file} does not parse"


def cyclonedx(*files):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    for file in files:
        wrong = JsonStrictValidator(SchemaVersion.V1_5).validate_str(pathlib.Path(file).read_text())
        assert wrong is None, f"{file}: {wrong}"


def jenkins_lines(folder):
    for file in sorted(pathlib.Path(folder).glob("ci/*.Jenkinsfile")):
        for one, other in re.findall(r"""\b(?:sh|script:) (?:'([^']*)'|"([^"]*)")""", file.read_text()):
            yield (one or other).replace("\\\\", "\\")


def yaml_lines(system, folder):
    folder = pathlib.Path(folder)
    if system == "bamboo":
        for plan in documents(folder / "bamboo-specs/bamboo.yaml"):
            for job in plan.values():
                for task in job.get("tasks", []) if isinstance(job, dict) else []:
                    if "script" in task:
                        yield from task["script"]["scripts"]
    elif system == "github":
        for file in sorted(folder.glob(".github/workflows/*.yml")):
            for job in documents(file)[0]["jobs"].values():
                yield from (step["run"] for step in job["steps"] if "run" in step)
    else:
        for job in documents(folder / ".gitlab-ci.yml")[0].values():
            yield from job.get("script", []) if isinstance(job, dict) else []


def shell(system, folder):
    lines = list(jenkins_lines(folder) if system == "jenkins" else yaml_lines(system, folder))
    assert any("tokenwarden validate" in line for line in lines), lines
    print("\n".join(lines))


def kustomization(folder):
    folder = pathlib.Path(folder)
    kustomization = documents(folder / "kustomization.yaml")[0]
    files = [entry.split("=")[-1] for source in kustomization["configMapGenerator"] for entry in source["files"]]
    missing = [name for name in files + kustomization["resources"] if not (folder / name).is_file()]
    assert not missing, f"{folder} has no {missing}"
    job = documents(folder / "drift.yaml")[0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    mounted = [item["path"] for volume in job["volumes"] for item in volume.get("configMap", {}).get("items", [])]
    assert sorted(mounted) == sorted(files), f"{mounted} are mounted instead of {files}"


if __name__ == "__main__":
    parsers = [bamboo, groovy, shell, kustomization, cyclonedx]
    {one.__name__: one for one in parsers}[sys.argv[1]](*sys.argv[2:])
