"""Client libraries, each in a small host program under clients/."""

from dataclasses import dataclass
from pathlib import Path

import pytest

import versions
from browser import ADA
from browser import BEN
from browser import ZOE
from browser import Person


@dataclass(frozen=True)
class Library:
    name: str
    package: str
    program: str
    client_name: str
    protocol: str
    person: Person

    def command(self, tools: Path) -> list[str]:
        runtime = "node" if self.program.endswith(".mjs") else "python"
        return [runtime, str(tools / "clients" / self.program)]

    def version(self, tools: Path) -> str:
        return versions.npm(tools, self.package) if self.program.endswith(".mjs") else versions.python(self.package)


LIBRARIES = [
    Library("python-sdk", "mcp", "python_sdk.py", "Python SDK", "2026-07-28", ADA),
    Library("fastmcp", "fastmcp", "fastmcp_client.py", "FastMCP Client", "2026-07-28", BEN),
    Library(
        "typescript-sdk-1", "@modelcontextprotocol/sdk", "typescript_1.mjs", "TypeScript SDK 1", "2025-11-25", ZOE
    ),
    Library(
        "typescript-sdk-2", "@modelcontextprotocol/client", "typescript_2.mjs", "TypeScript SDK 2", "2026-07-28", ADA
    ),
]


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_signs_in_and_refreshes(library, demo, browser, start, tools, show):
    client = start(*library.command(tools), demo.url)
    browser.sign_in(client.authorize_url(), library.person, library.client_name, demo.url)

    signed_in = client.result(1)
    refreshed = client.result(2)

    assert client.ended() == 0, client.errors()
    for call in signed_in, refreshed:
        assert call["oid"] == library.person.oid
        assert call["protocol"] == library.protocol
    assert signed_in["token"] != refreshed["token"]
    assert demo.events().count("token.refreshed") == 1
    assert demo.events().count("signin.completed") == len(client.opened()) == 1
    show(f"{library.name} {library.version(tools)}  oid {refreshed['oid']}  refreshed, over MCP {library.protocol}")
