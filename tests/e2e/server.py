"""An MCP server's process."""

import subprocess
from pathlib import Path

from ports import Port
from until import until


class Server:
    """Runs a command that listens at `port`."""

    def __init__(self, name: str, command: list[str], port: Port, tools: Path, directory: Path, settings: dict[str, str]):
        self.port = port
        self._log = directory / f"{name}.log"
        environment = {
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "PATH": f"{tools / 'node_modules' / '.bin'}:{tools / 'python' / 'bin'}:/usr/bin:/bin",
            "PORT": str(port.number),
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                env=environment | settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_until_ready(self) -> None:
        until(f"{self._log.stem} to listen", self._listens)

    def _listens(self) -> bool:
        assert self._process.poll() is None, f"{self._log.stem} ended:\n{self.said()}"
        return self.port.answers()

    def said(self) -> str:
        """What it printed so far."""
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """Ends it; how is its own affair."""
        self._process.kill()
        self._process.wait()
