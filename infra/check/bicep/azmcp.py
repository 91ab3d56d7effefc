"""Asks `azmcp` for types. It takes seconds to start, so it is started once, as the MCP server that it is."""

from __future__ import annotations

import json
import os
import subprocess

# It sends nothing anywhere: types are in the program, and telemetry is off.
SILENT = {"AZURE_MCP_COLLECT_TELEMETRY": "false", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}


class Azmcp:
    def __init__(self, program: str):
        self.number = 0
        self.process = subprocess.Popen(
            [program, "server", "start", "--mode", "all", "--namespace", "bicepschema"],
            env=os.environ | SILENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> Azmcp:
        client = {"name": "check", "version": "1"}
        self.call("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client})
        self.send({"method": "notifications/initialized"})
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def send(self, message: dict):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def call(self, method: str, params: dict) -> dict:
        self.number += 1
        self.send({"id": self.number, "method": method, "params": params})
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") == self.number:
                return answer["result"]
        raise SystemExit("azmcp ended without an answer.")

    def schema(self, kind: str) -> list | None:
        """The parts of a type's definition, or None where it is not known."""
        result = self.call("tools/call", {"name": "bicepschema_get", "arguments": {"resource-type": kind}})
        answer = json.loads(result["content"][0]["text"])
        return answer["results"]["BicepSchemaResult"] if answer["status"] == 200 else None
