"""The files of infra/ by their path in it."""

from __future__ import annotations

from pathlib import Path

from .syntax import File
from .syntax import parse


def texts(infra: Path) -> dict[str, str]:
    paths = [*infra.glob("*.bicep"), *infra.glob("modules/*.bicep"), *infra.glob("*.json")]
    return {path.relative_to(infra).as_posix(): path.read_text() for path in sorted(paths)}


def parsed(texts: dict[str, str]) -> dict[str, File]:
    return {path: parse(path, text) for path, text in texts.items() if path.endswith(".bicep")}


def read(infra: Path) -> tuple[dict[str, str], dict[str, File]]:
    found = texts(infra)
    return found, parsed(found)
