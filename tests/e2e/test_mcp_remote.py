"""`mcp-remote`, which gives desktop hosts that know only stdio a way to a server with a sign-in."""

import json
from pathlib import Path

import versions
from browser import BEN


def test_signs_in_and_refreshes(demo, browser, start, tools, tmp_path, show):
    kept = tmp_path / "mcp-auth"
    host = ["python", str(tools / "clients" / "stdio.py"), "mcp-remote", demo.url, "--auth-timeout", "60"]
    client = start(*host, MCP_REMOTE_CONFIG_DIR=str(kept))
    browser.sign_in(client.authorize_url(), BEN, "MCP CLI Proxy", demo.url)
    assert client.result(1)["oid"] == BEN.oid
    assert client.ended() == 0, client.errors()

    tokens = only(kept, "*_tokens.json")
    before = json.loads(tokens.read_text())
    # As if it had been an hour. The token is spoiled as well, so that it cannot serve by mistake.
    tokens.write_text(json.dumps(before | {"access_token": "spoiled", "expires_at": 1}))
    client = start(*host, MCP_REMOTE_CONFIG_DIR=str(kept))

    oid = client.result(1)["oid"]
    assert client.ended() == 0, client.errors()
    after = json.loads(tokens.read_text())
    assert oid == BEN.oid
    assert after["access_token"] not in ("spoiled", before["access_token"])
    assert after["refresh_token"] != before["refresh_token"]
    assert demo.events().count("token.refreshed") == 1
    assert demo.events().count("signin.completed") == len(client.opened()) == 1
    show(f"mcp-remote {versions.npm(tools, 'mcp-remote')}  oid {oid}  refreshed")


def only(directory: Path, name: str) -> Path:
    """The one file of that name below a directory."""
    found = list(directory.rglob(name))
    assert len(found) == 1, f"{name} in {directory}: {found}"
    return found[0]
