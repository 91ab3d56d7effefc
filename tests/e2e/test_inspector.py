"""MCP Inspector's command line. It signs in by itself when it is told that a browser is there."""

import json
from pathlib import Path

import versions
from browser import ZOE


def test_signs_in_and_refreshes(demo, browser, start, tools, tmp_path, show):
    secrets = tmp_path / "secrets.json"
    settings = {"MCP_INSPECTOR_SECRET_STORE": "file", "MCP_INSPECTOR_SECRET_FILE": str(secrets)}
    whoami = [
        *("mcp-inspector", "--cli", demo.url, "--transport", "http", "--format", "json"),
        *("--method", "tools/call", "--tool-name", "whoami"),
        # The default is a fixed port.
        *("--callback-url", "http://127.0.0.1:0/oauth/callback"),
    ]
    inspector = start(*whoami, MCP_AUTO_OPEN_ENABLED="true", **settings)
    browser.sign_in(inspector.authorize_url(), ZOE, "MCP Inspector", demo.url)
    assert inspector.ended() == 0, inspector.errors()
    assert oid(inspector) == ZOE.oid

    before = tokens(secrets)
    store(secrets, before | {"access_token": "spoiled"})
    # No browser is allowed this time.
    inspector = start(*whoami, "--stored-auth-only", **settings)

    assert inspector.ended() == 0, inspector.errors()
    assert oid(inspector) == ZOE.oid
    after = tokens(secrets)
    assert after["access_token"] not in ("spoiled", before["access_token"])
    assert after["refresh_token"] != before["refresh_token"]
    assert demo.events().count("token.refreshed") == 1
    assert demo.events().count("signin.completed") == len(inspector.opened()) == 1
    show(f"inspector {versions.npm(tools, '@modelcontextprotocol/inspector')}  oid {oid(inspector)}  refreshed")


def oid(inspector) -> str:
    return inspector.result(1)["result"]["structuredContent"]["oid"]


def tokens(secrets: Path) -> dict:
    """The store has one entry, which is JSON in itself."""
    (entry,) = json.loads(secrets.read_text())["secrets"].values()
    return json.loads(entry)


def store(secrets: Path, tokens: dict) -> None:
    """Puts other tokens into the one entry."""
    content = json.loads(secrets.read_text())
    (name,) = content["secrets"]
    content["secrets"][name] = json.dumps(tokens)
    secrets.write_text(json.dumps(content))
