"""What GitHub runs is what CI runs: workflows, hooks and the citation hold commands, targets and versions that exist."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import registry
from harness.cli import parser

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands(path: Path) -> list[list[str]]:
    jobs = yaml.safe_load(path.read_text())["jobs"]
    return [shlex.split(step["run"]) for job in jobs.values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_the_commands_of_a_workflow_are_commands(path: Path) -> None:
    found: Any = yaml.safe_load(path.read_text())
    assert found["permissions"]["contents"] == "read"
    assert all(job["timeout-minutes"] <= 60 for job in found["jobs"].values())
    for words in commands(path):
        if words[0] == "make":
            assert set(words[1:]) <= TARGETS
        elif words[0] == "papertrial":
            options = parser().parse_args(words[1:])
            for name in getattr(options, "tasks", []):
                assert options.scale in registry.task(name).scales
        else:
            assert words[0] in ("echo", "cp")


def test_the_checks_on_github_are_those_of_ci() -> None:
    own = [line.split() for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("make ")]
    assert len(own) >= 4
    assert commands(ROOT / ".github" / "workflows" / "checks.yml") == own


def test_every_change_builds_the_pages_where_a_warning_is_an_error() -> None:
    path = ROOT / ".github" / "workflows" / "docs.yml"
    # `on` is a truth value in YAML 1.1.
    found: Any = yaml.safe_load(path.read_text())[True]
    assert {"push", "pull_request"} <= set(found)
    assert found["pull_request"] is None, "no path is left out"
    assert commands(path) == [["make", "docs"]]
    recipe = (ROOT / "Makefile").read_text().split("\ndocs:")[1].split("\n\n")[0]
    assert "-m sphinx --fail-on-warning" in recipe


def test_the_gate_compares_with_the_committed_study_of_what_it_ran() -> None:
    found = [parser().parse_args(words[1:]) for words in commands(ROOT / ".github" / "workflows" / "gate.yml") if words[0] == "papertrial"]
    ran, compared = (next(one for one in found if one.verb == verb) for verb in ("run", "compare"))
    assert compared.gate
    assert compared.after == f"{ran.tasks[0]}-{ran.scale}"
    assert (ROOT / compared.before / "plan.json").exists()
    assert Path(compared.before).name == compared.after


def test_the_hooks_run_the_tools_that_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = (ROOT / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
    tools = {Path(hook["entry"].split()[0]).name for hook in hooks}
    assert tools == set(re.findall(r"\$\(BIN\)/([\w-]+)", lint))
    assert all(hook["language"] == "system" for hook in hooks)


def test_the_citation_names_the_version_and_licence_of_the_package() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"cff-version", "message", "title", "authors"} <= set(found)
    assert (found["cff-version"], found["type"]) == ("1.2.0", "software")
    assert (found["version"], found["license"]) == (project["version"], project["license"])
    assert all(author.keys() <= {"name", "family-names", "given-names", "orcid"} for author in found["authors"])
