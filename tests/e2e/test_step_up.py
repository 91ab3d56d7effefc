"""Clients begin with little, and ask their person for more when a tool needs it."""

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs
from urllib.parse import urlsplit

import pytest

import versions
from browser import ADA

SERVER = ["python", str(Path(__file__).parent / "servers" / "plain.py")]
# Once `echo` was called, `slow` waits for nothing.
READS = json.dumps(["echo", {"message": "hello"}])
WRITES = json.dumps(["slow", {}])
LITTLE_AT_FIRST = 'default_scopes = ["mcp.read"]\n'


@dataclass(frozen=True)
class Library:
    name: str
    package: str
    program: str

    def command(self, tools: Path) -> list[str]:
        runtime = "node" if self.program.endswith(".mjs") else "python"
        return [runtime, str(tools / "clients" / self.program)]

    def version(self, tools: Path) -> str:
        return versions.npm(tools, self.package) if self.program.endswith(".mjs") else versions.python(self.package)


PYTHON = Library("Python SDK", "mcp", "python_sdk.py")
TYPESCRIPT_1 = Library("TypeScript SDK 1", "@modelcontextprotocol/sdk", "typescript_1.mjs")
TYPESCRIPT_2 = Library("TypeScript SDK 2", "@modelcontextprotocol/client", "typescript_2.mjs")


@pytest.fixture
def serve(entrada, run, port):
    """Serves tools of which one needs more than the others. Returns their URL."""

    def serve(more: str = "") -> str:
        at = port()
        entrada.serve(resource(f"{at.origin}/mcp") + more)
        run("plain", at, *SERVER)
        return f"{entrada.issuer}/tools"

    return serve


# Without sessions the gateway refuses by the headers of a call, with sessions by its body.
@pytest.mark.parametrize(("mode", "protocol"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
@pytest.mark.parametrize("library", [PYTHON, TYPESCRIPT_2], ids=lambda library: library.name)
def test_it_asks_for_more_and_calls_again(library, mode, protocol, serve, entrada, browser, start, tools, show):
    url = serve(LITTLE_AT_FIRST)
    client = start(*library.command(tools), url, "step_up", mode, READS, WRITES, READS)

    page = signs_in(browser, client.authorize_url(), library, url)
    assert scope(client.authorize_url()) == {"mcp.read"}
    assert "Read things" in page and "Change things" not in page
    assert client.result(1) == {"said": "Echo: hello", "scope": "mcp.read", "protocol": protocol}

    page = signs_in(browser, client.authorize_url(2), library, url)
    assert scope(client.authorize_url(2)) == {"mcp.read", "mcp.write"}
    assert "Read things" in page and "Change things" in page
    assert client.result(2) == {"said": "Done.", "scope": "mcp.read mcp.write", "protocol": protocol}
    assert client.result(3) == {"said": "Echo: hello", "scope": "mcp.read mcp.write", "protocol": protocol}

    assert client.ended() == 0, client.errors()
    assert entrada.refusals().count("insufficient_scope") == 1
    assert entrada.events().count("signin.completed") == len(client.opened()) == 2
    assert "token.refreshed" not in entrada.events()
    show(f"{library.name} {library.version(tools)}  asks for more by itself, over MCP {protocol}")


# Its transport answers `insufficient_scope` as it answers 401: it refreshes where it can, which widens nothing.
def test_typescript_sdk_1_refreshes_and_gives_up(serve, entrada, browser, start, tools, show):
    url = serve(LITTLE_AT_FIRST)
    client = start(*TYPESCRIPT_1.command(tools), url, "step_up", "legacy", READS, WRITES)
    signs_in(browser, client.authorize_url(), TYPESCRIPT_1, url)

    assert client.ended() == 1
    assert "Server returned 403 after trying upscoping" in client.errors()
    assert json.loads(client.output())["scope"] == "mcp.read"
    assert entrada.refusals().count("insufficient_scope") == 2
    assert entrada.events().count("token.refreshed") == 1
    assert entrada.events().count("signin.completed") == len(client.opened()) == 1
    show(f"{TYPESCRIPT_1.name} {TYPESCRIPT_1.version(tools)}  refreshes where it should ask for more, and gives up")


def test_without_default_scopes_it_gets_along(serve, entrada, browser, start, tools):
    url = serve()
    client = start(*TYPESCRIPT_1.command(tools), url, "step_up", "legacy", READS, WRITES)
    page = signs_in(browser, client.authorize_url(), TYPESCRIPT_1, url)
    assert "Read things" in page and "Change things" in page

    assert client.ended() == 0, client.errors()
    assert client.result(2)["said"] == "Done."
    assert "insufficient_scope" not in entrada.refusals()


def signs_in(browser, authorize_url: str, library: Library, url: str) -> str:
    """What the consent page said."""
    browser.read_consent(authorize_url, library.name, url)
    page = browser.text()
    browser.decide("approve")
    browser.choose(ADA)
    browser.land(authorize_url)
    return page


def scope(authorize_url: str) -> set[str]:
    return set(parse_qs(urlsplit(authorize_url).query)["scope"][0].split(" "))


def resource(upstream: str) -> str:
    return f"""
[[resource]]
path = "/tools"
upstream = "{upstream}"
scopes = {{ "mcp.read" = "Read things", "mcp.write" = "Change things" }}
implies = {{ "mcp.write" = ["mcp.read"] }}
tools = {{ "*" = "mcp.read", "slow" = "mcp.write" }}
"""
