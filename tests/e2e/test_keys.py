"""Agents without a browser: clients of other people with an API key in a header that stays the same."""

import pytest

import versions
from test_gateway import FASTMCP
from test_gateway import PYTHON
from test_gateway import TYPESCRIPT_1
from test_gateway import TYPESCRIPT_2


@pytest.mark.parametrize("library", [PYTHON, TYPESCRIPT_1, TYPESCRIPT_2], ids=lambda library: library.program)
@pytest.mark.parametrize("header", ["Authorization", "x-api-key", "x-functions-key"])
def test_key(library, header, entrada, start, run, port, tools, show):
    at = port()
    entrada.serve(resource(f"{at.origin}/mcp"))
    run(FASTMCP.name, at, *FASTMCP.command)
    url = f"{entrada.issuer}/tools"
    new = ("new", "--name", "agent", "--resource", "/tools", "--scopes", "mcp.read", "--expires", "1h", "--owner", "somebody")
    key = entrada.key(*new).strip()

    def call(key: str):
        value = f"Bearer {key}" if header == "Authorization" else key
        return start(library.runtime, str(tools / "clients" / library.program), url, "key", header, value)

    client = call(key)
    assert client.result(1)["said"] == "Echo: hello"
    assert client.ended() == 0, client.errors()
    assert client.opened() == [], "nobody has to sign in"
    assert " agent " in entrada.key("list")
    entrada.key("revoke", "agent")
    assert call(key).ended() != 0, "it is told that the key is not good, and ends"
    assert "key_revoked" in entrada.refusals()
    if header == "Authorization":
        show(f"{library.name}: calls a tool with an API key, in each of three headers")


def resource(upstream: str) -> str:
    return f"""
[[resource]]
path = "/tools"
upstream = "{upstream}"
keys = true
scopes = {{ "mcp.read" = "Call its tools" }}
"""
