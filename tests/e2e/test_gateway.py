"""MCP servers of other people behind the gateway, called by clients of other people, over both generations of MCP."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

import versions
from browser import ADA

SESSIONS = "2025-11-25"
STATELESS = "2026-07-28"


@dataclass(frozen=True)
class Upstream:
    name: str
    package: str
    command: list[str]
    # A tool that reports progress so many times.
    slow: str
    arguments: dict
    steps: int
    # What it says of a session that was ended.
    gone: int

    def version(self, tools: Path) -> str:
        return versions.npm(tools, self.package) if self.package.startswith("@") else versions.python(self.package)


# It waits for a call of `echo` before it goes on.
FASTMCP = Upstream(
    "fastmcp", "fastmcp", ["python", str(Path(__file__).parent / "servers" / "plain.py")], "slow", {}, 2, 404
)
# It takes three seconds: what is called after the first is answered before the last.
EVERYTHING = Upstream(
    "everything",
    "@modelcontextprotocol/server-everything",
    ["mcp-server-everything", "streamableHttp"],
    "trigger-long-running-operation",
    {"duration": 3, "steps": 3},
    3,
    400,
)


@dataclass(frozen=True)
class Library:
    name: str
    runtime: str
    program: str


PYTHON = Library("Python SDK", "python", "python_sdk.py")
TYPESCRIPT_1 = Library("TypeScript SDK 1", "node", "typescript_1.mjs")
TYPESCRIPT_2 = Library("TypeScript SDK 2", "node", "typescript_2.mjs")


@pytest.mark.parametrize(
    ("upstream", "library", "mode", "protocol"),
    [
        (EVERYTHING, PYTHON, "auto", SESSIONS),
        (EVERYTHING, TYPESCRIPT_1, "legacy", SESSIONS),
        (EVERYTHING, TYPESCRIPT_2, "auto", SESSIONS),
        (FASTMCP, PYTHON, "legacy", SESSIONS),
        (FASTMCP, PYTHON, "auto", STATELESS),
        (FASTMCP, TYPESCRIPT_1, "legacy", SESSIONS),
        (FASTMCP, TYPESCRIPT_2, "auto", STATELESS),
    ],
    ids=lambda value: getattr(value, "name", value).replace(" ", "-").lower(),
)
def test_server(upstream, library, mode, protocol, entrada, browser, start, run, port, tools, show):
    at = port()
    # Two of them, so that the client has to find out which is meant.
    entrada.serve(resource("other", "http://127.0.0.1:1/mcp") + resource("tools", f"{at.origin}/mcp"))
    server = run(upstream.name, at, *upstream.command)
    url = f"{entrada.issuer}/tools"

    program = [library.runtime, str(tools / "clients" / library.program)]
    client = start(*program, url, "session", mode, upstream.slow, json.dumps(upstream.arguments))
    browser.sign_in(client.authorize_url(), ADA, library.name, url)
    told = client.result(1)

    assert client.ended() == 0, client.errors()
    assert told["protocol"] == protocol
    assert {"echo", upstream.slow} <= set(told["tools"])
    assert told["happened"].count("progress") == upstream.steps
    # The progress came while the call went on: only then does the client call `echo`, without which the one server
    # never ends, and which the other answers long before it does.
    assert told["happened"][0] == "progress", told
    assert sorted(told["happened"]) == ["Echo: hello"] + ["progress"] * upstream.steps + ["result"], told
    if upstream is EVERYTHING:
        assert told["happened"][-1] == "result", told
    if protocol == SESSIONS:
        assert told["session"]
        assert told["deleted"] in (200, 204)
        assert told["gone"] == upstream.gone
    else:
        assert (told["session"], told["deleted"]) == (None, None)
    assert entrada.events().count("signin.completed") == len(client.opened()) == 1
    show(f"{library.name} at {upstream.name} {upstream.version(tools)}  over MCP {protocol}: tools, progress, session")


def resource(name: str, upstream: str) -> str:
    return f"""
[[resource]]
path = "/{name}"
upstream = "{upstream}"
scopes = {{ "mcp.read" = "Call its tools" }}
"""
