"""Servers elsewhere, which verify tokens themselves as docs/verify.md shows it."""

import json
import re
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request
from urllib.request import urlopen

import pytest

import page
from browser import BEN
from fastmcp.server.auth.providers.jwt import JWTVerifier
from issuer import Issuer

TENANT = "0a1c0de0-0000-4000-8000-000000000000"


def fastmcp(_tools: Path, directory: Path, _entrada: Path) -> list[str]:
    (directory / "server.py").write_text(page.block("python"))
    return ["python", "server.py"]


def typescript(tools: Path, _directory: Path, _entrada: Path) -> list[str]:
    # Beside the packages that it imports.
    program = tools / "server.mts"
    program.write_text(page.block("typescript"))
    return ["node", str(program)]


def rmcp(_tools: Path, _directory: Path, entrada: Path) -> list[str]:
    # `documents` in tests/it compares its source with the page.
    return [str(entrada.parent / "verify")]


SERVERS = pytest.mark.parametrize("server", [fastmcp, typescript, rmcp], ids=lambda server: server.__name__)


@SERVERS
def test_it_learns_who_calls(server, pytestconfig, entrada, browser, start, run, port, tools, tmp_path, show):
    here, elsewhere = port(), port()
    entrada.serve(resource("here", here.origin) + resource("elsewhere", elsewhere.origin))
    command = server(tools, tmp_path, pytestconfig.getoption("entrada"))
    for name, at in ("here", here), ("elsewhere", elsewhere):
        run(name, at, *command, **settings(entrada.issuer, at))

    url = f"{here.origin}/mcp"
    client = start("python", str(tools / "clients" / "python_sdk.py"), url, "elsewhere", f"{elsewhere.origin}/mcp")
    browser.sign_in(client.authorize_url(), BEN, "Python SDK", url)
    told = client.result(1)

    assert client.ended() == 0, client.errors()
    assert told["said"] == {"tid": TENANT, "oid": BEN.oid}
    # The token is good where it was issued for, and nowhere else.
    assert told["here"] != 401
    assert told["elsewhere"] == 401
    show(f"a server with {server.__name__} verifies by itself  oid {told['said']['oid']}")


@SERVERS
def test_it_checks_what_has_to_be_checked(server, pytestconfig, run, port, tools, tmp_path):
    issuer, at = Issuer(), port()
    url = f"{at.origin}/mcp"
    try:
        run("server", at, *server(tools, tmp_path, pytestconfig.getoption("entrada")), **settings(issuer.url, at))
        soon = int(time.time())
        tokens = {
            "good": issuer.token(url),
            "ES256": issuer.token(url, key="ec", alg="ES256"),
            "more scopes": issuer.token(url, scope="mcp.write mcp.read"),
            "another scope": issuer.token(url, scope="mcp.readonly"),
            "another audience": issuer.token(f"{at.origin}/other"),
            "another issuer": issuer.token(url, iss="https://login.example.com"),
            "a slash at the end of the issuer": issuer.token(url, iss=f"{issuer.url}/"),
            "expired": issuer.token(url, exp=soon - 120, iat=soon - 1020, nbf=soon - 1020),
            "never expires": issuer.token(url, exp=None),
            "an ID token": issuer.token(url, typ="JWT"),
            "no type": issuer.token(url, typ=None),
            "a key of somebody else": issuer.token(url, key="unpublished"),
            "a MAC with the public key": issuer.token(url, alg="HS256"),
            "not signed": issuer.token(url, alg="none"),
            "another signature": issuer.token(url)[:-8] + "AAAAAAAA",
            "none": None,
        }
        answers = {name: ask(url, token) for name, token in tokens.items()}
    finally:
        issuer.stop()

    good = {"good": 200, "more scopes": 200, "another scope": 403}
    # FastMCP takes one algorithm, which is RS256 on the page.
    good["ES256"] = 401 if server is fastmcp else 200
    assert {name: status for name, (status, _) in answers.items()} == {name: good.get(name, 401) for name in tokens}
    for name, (status, challenge) in answers.items():
        if status != 200:
            leads_to_the_issuer(challenge, url, issuer.url)
    errors = {name: re.findall(r'error="(\w+)"', challenge) for name, (_, challenge) in answers.items()}
    assert errors["another scope"] == ["insufficient_scope"]
    assert errors["expired"] == ["invalid_token"]


def test_what_the_page_reaches_into_is_there():
    assert JWTVerifier(jwks_uri="http://127.0.0.1/jwks.json")._cache_ttl == 3600


def resource(name: str, origin: str) -> str:
    return f"""
[[resource]]
path = "/{name}"
identifier = "{origin}/mcp"
scopes = {{ "mcp.read" = "Call its tools" }}
"""


def settings(issuer: str, at) -> dict[str, str]:
    return {"ISSUER": issuer, "RESOURCE": f"{at.origin}/mcp", "LISTEN": f"127.0.0.1:{at.number}"}


def ask(url: str, token: str | None) -> tuple[int, str]:
    """How `initialize` with this token is answered: the status, and the challenge."""
    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        with urlopen(Request(url, json.dumps(message).encode(), headers), timeout=10) as answer:
            return answer.status, ""
    except HTTPError as refused:
        return refused.code, refused.headers["WWW-Authenticate"] or ""


def leads_to_the_issuer(challenge: str, url: str, issuer: str) -> None:
    """RFC 9728 §5.1 and §3.3."""
    (metadata,) = re.findall(r'resource_metadata="([^"]+)"', challenge)
    with urlopen(metadata, timeout=10) as answer:
        document = json.load(answer)
    assert document["resource"] == url
    assert document["authorization_servers"] == [issuer]
