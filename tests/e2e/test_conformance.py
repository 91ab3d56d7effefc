"""The conformance suite of the MCP project, in its mode for authorization servers."""

import json
import re
import socket
from urllib.request import Request
from urllib.request import urlopen

import versions
from browser import ZOE
from until import until

EXPECTED = {
    "authorization-server-metadata": "SUCCESS",
    "authorization-code-grant": "SUCCESS",
    "authorization-server-metadata-cimd": "SUCCESS",
}


def test_every_check(demo, browser, start, tools, tmp_path, show):
    port = free_port()
    client_id = register(demo.issuer, f"http://127.0.0.1:{port}/callback")
    results = tmp_path / "results"
    suite = start(
        *("conformance", "authorization", "--url", demo.issuer, "--resource", demo.url),
        *("--client-id", client_id, "--port", str(port), "--output-dir", str(results)),
    )
    asked = re.compile(re.escape(demo.issuer) + r"/authorize\S+\n")
    url = until("the suite to ask for a sign-in", lambda: asked.search(suite.output())).group().strip()
    browser.sign_in(url, ZOE, "Conformance", demo.url)
    assert suite.ended() == 0, suite.output()

    checks = [check for file in results.rglob("checks.json") for check in json.loads(file.read_text())]
    outcomes = {check["id"]: check["status"] for check in checks}
    assert outcomes == EXPECTED
    version = versions.npm(tools, "@modelcontextprotocol/conformance")
    show(f"conformance {version}  " + "  ".join(f"{check}: {status}" for check, status in outcomes.items()))


def free_port() -> int:
    """A port that was free a moment ago: the suite wants to be told one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def register(issuer: str, redirect_uri: str) -> str:
    """The suite wants a client that is registered already."""
    metadata = {"client_name": "Conformance", "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none"}
    request = Request(f"{issuer}/register", json.dumps(metadata).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=10) as response:
        return json.load(response)["client_id"]
