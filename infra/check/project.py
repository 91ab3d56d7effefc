"""azure.yaml: what is written there, and that what it names is there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import yaml

SCHEMA = Path(__file__).parent / "azure.schema.json"


def problems(root: Path) -> list[str]:
    written = yaml.safe_load((root / "azure.yaml").read_text())
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    found = [f"azure.yaml: {error.json_path}: {error.message}" for error in validator.iter_errors(written)]
    if found:
        return found
    infra = root / written["infra"]["path"]
    for name, service in written["services"].items():
        project = root / service["project"]
        for path in (project / service["docker"]["path"], infra / f"{name}.bicep", infra / f"{name}.parameters.json"):
            if not path.is_file():
                found.append(f"azure.yaml: {name} needs {path.relative_to(root)}, which is not there.")
    for name, hook in written["hooks"].items():
        for kind in ("posix", "windows"):
            path = root / hook[kind]["run"]
            if not path.is_file() or (kind == "posix" and not os.access(path, os.X_OK)):
                found.append(f"azure.yaml: {name} runs {hook[kind]['run']}, which is not there or no program.")
    return found
