"""The hook that removes the app registration, against a Microsoft Graph on loopback and an azd that only gives a token."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

NAME = "entrada-99999999-8888-7777-6666-555555555555-sample"
OBJECT = "0a1b2c3d-0000-1111-2222-333344445555"
AZD = """#!/bin/sh
[ "$*" = "auth token --scope https://graph.microsoft.com/.default --output json" ] || exit 1
printf '{\\n  "token": "%s",\\n  "expiresOn": "2027-01-01T00:00:00Z"\\n}\\n' "$TOKEN"
"""


class Graph:
    """Applications by their unique name; one that is deleted is for `lag` requests not yet among the deleted ones."""

    def __init__(self, applications: dict[str, str], lag: int = 0, refused: int | None = None):
        self.applications, self.lag, self.refused = applications, lag, refused
        self.deleted: set[str] = set()
        self.requests: list[str] = []
        graph = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                path = unquote(self.path)
                graph.requests.append(f"{self.command} {path}")
                status, body = graph.answer(self.command, path, self.headers.get("Authorization"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, method: str, path: str, authorization: str | None) -> tuple[int, str]:
        if authorization != "Bearer graph-token":
            return 401, '{"error":{"code":"InvalidAuthenticationToken"}}'
        if self.refused:
            return self.refused, '{"error":{"code":"Authorization_RequestDenied"}}'
        missing = 404, '{"error":{"code":"Request_ResourceNotFound"}}'
        for name, identity in self.applications.items():
            if (method, path) == ("GET", f"/v1.0/applications(uniqueName='{name}')?$select=id"):
                return 200, f'{{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata","id":"{identity}"}}'
            if (method, path) == ("DELETE", f"/v1.0/applications/{identity}"):
                del self.applications[name]
                self.deleted.add(identity)
                return 204, ""
        for identity in self.deleted:
            if (method, path) == ("DELETE", f"/v1.0/directory/deletedItems/{identity}"):
                self.lag -= 1
                if self.lag >= 0:
                    return missing
                self.deleted.remove(identity)
                return 204, ""
        return missing


def run(hook: Path, graph: Graph, token: str = "graph-token") -> subprocess.CompletedProcess:
    with tempfile.TemporaryDirectory() as directory:
        azd = Path(directory, "azd")
        azd.write_text(AZD)
        azd.chmod(0o755)
        environment = {
            "PATH": f"{directory}:{os.environ['PATH']}",
            "TOKEN": token,
            "AZURE_SUBSCRIPTION_ID": "99999999-8888-7777-6666-555555555555",
            "AZURE_ENV_NAME": "sample",
            "GRAPH_URL": f"http://127.0.0.1:{graph.server.server_port}",
            "GRAPH_PAUSE": "0",
        }
        return subprocess.run(["sh", hook], env=environment, capture_output=True, text=True, timeout=60)


def problems(infra: Path) -> list[str]:
    hook, found = infra / "hooks/remove-registration.sh", []

    def expect(what: str, holds: bool, ran: subprocess.CompletedProcess):
        if not holds:
            found.append(f"{what}: it ended with {ran.returncode} and said {ran.stdout + ran.stderr!r}.")

    graph = Graph({NAME: OBJECT, "somebody-elses": "another"}, lag=2)
    ran = run(hook, graph)
    gone = graph.applications == {"somebody-elses": "another"} and not graph.deleted
    expect("The registration is removed for good, and nothing else", gone and ran.returncode == 0, ran)

    graph = Graph({"somebody-elses": "another"})
    ran = run(hook, graph)
    expect("Where there is none, nothing is deleted", ran.returncode == 0 and len(graph.requests) == 1, ran)

    graph = Graph({NAME: OBJECT}, refused=403)
    ran = run(hook, graph)
    expect("A refusal says what to do by hand", ran.returncode == 1 and "Remove the app registration" in ran.stderr, ran)

    ran = run(hook, Graph({NAME: OBJECT}, lag=99))
    expect("What is not gone for good is told", ran.returncode == 1 and "not yet for good" in ran.stderr, ran)

    ran = run(hook, Graph({}), token="")
    expect("Without a token it says so", ran.returncode == 1 and "no token" in ran.stderr, ran)
    return found
