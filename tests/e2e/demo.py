"""One `entrada demo`, and what its audit trail says."""

import re
import subprocess
from pathlib import Path

from until import until

EVENT = re.compile(r'audit: event="([a-z.]+)"')
MCP_URL = re.compile(r"http://localhost:\d+/mcp\b")


class Demo:
    """A demo of its own: fresh data, free ports. It answers at `url`."""

    def __init__(self, entrada: Path, directory: Path):
        self._paste = directory / "demo.out.log"
        self._log = directory / "demo.log"
        command = [entrada, "demo", "--port", "0", "--data-dir", directory / "data", "--no-browser"]
        with self._paste.open("wb") as out, self._log.open("wb") as err:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def wait_until_ready(self) -> None:
        """Comes before everything else."""
        until("the demo's line that begins with Ready", self._ready)
        self.url = MCP_URL.search(self._paste.read_text()).group()
        self.issuer = self.url.removesuffix("/mcp")
        # The demo walks the flow itself before it is ready.
        self._own = len(self._audited())

    def _ready(self) -> bool:
        assert self._process.poll() is None, f"the demo ended with {self._process.returncode}"
        return any(line.startswith("Ready") for line in self._paste.read_text().splitlines())

    def _audited(self) -> list[str]:
        return EVENT.findall(self._log.read_text())

    def events(self) -> list[str]:
        """The audit events since it was ready (docs/events.md)."""
        return self._audited()[self._own :]

    def stop(self) -> None:
        """Ends it as a service manager would. It has to end well."""
        self._process.terminate()
        try:
            assert self._process.wait(20) == 0, f"SIGTERM ended the demo with {self._process.returncode}"
        finally:
            self._process.kill()
            self._process.wait()
