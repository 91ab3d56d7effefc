"""Which version of a client is installed."""

import json
from importlib import metadata
from pathlib import Path


def python(package: str) -> str:
    return metadata.version(package)


def npm(tools: Path, package: str) -> str:
    return json.loads((tools / "node_modules" / package / "package.json").read_text())["version"]
