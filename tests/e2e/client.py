"""A client's process."""

import json
import os
import signal
import subprocess
from pathlib import Path

from until import until

STAND_IN = Path(__file__).parent / "bin" / "xdg-open"


class Client:
    """Runs a command in an environment of its own, with a stand-in for the desktop's browser."""

    def __init__(self, command: list[str], tools: Path, directory: Path, settings: dict[str, str]):
        self._output = directory / "client.out.log"
        self._errors = directory / "client.err.log"
        self._opened = directory / "opened"
        self._opened.touch()
        environment = {
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "PATH": f"{STAND_IN.parent}:{tools / 'node_modules' / '.bin'}:{tools / 'python' / 'bin'}:/usr/bin:/bin",
            "BROWSER": str(STAND_IN),
            "OPENED_URLS": str(self._opened),
        }
        self._mark = f"OPENED_URLS={self._opened}".encode()
        with self._output.open("wb") as out, self._errors.open("ab") as err:
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                env=environment | settings,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def opened(self) -> list[str]:
        """The URLs that it opened in the browser, by this run and those before it."""
        return self._opened.read_text().splitlines()

    def authorize_url(self, number: int = 1) -> str:
        """The URL that it opens to sign in, for the first time or a later one."""
        until(f"the client to open its browser ({number})", lambda: self._running() and len(self.opened()) >= number)
        return self.opened()[number - 1]

    def said(self, lines: int = 1) -> str:
        """Its output, once that has so many lines."""
        until(f"line {lines} of the client", lambda: self._running() and self.output().count("\n") >= lines)
        return self.output()

    def output(self) -> str:
        """Its standard output so far."""
        return self._output.read_text()

    def result(self, number: int) -> dict:
        """The JSON object on a line of its output."""
        return json.loads(self.said(number).splitlines()[number - 1])

    def errors(self) -> str:
        """Its standard error so far."""
        return self._errors.read_text()

    def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        until("the client to end", lambda: self._process.poll() is not None)
        return self._process.returncode

    def stop(self) -> None:
        """Ends whatever it left: every process that has its environment, whoever is its parent by now."""
        for environment in Path("/proc").glob("[0-9]*/environ"):
            try:
                if self._mark in environment.read_bytes().split(b"\0"):
                    os.kill(int(environment.parent.name), signal.SIGKILL)
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                pass  # It has ended, or is somebody else's.
        self._process.wait()

    def _running(self) -> bool:
        code = self._process.poll()
        assert not code, f"the client ended with {code}:\n{self.errors()}"
        return True
