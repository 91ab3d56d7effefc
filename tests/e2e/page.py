"""The code that docs/verify.md shows is the code that runs."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "verify.md"


def block(language: str) -> str:
    """The one fenced block in this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return found
