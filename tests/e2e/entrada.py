"""One `entrada serve` with an identity provider, and what its audit trail says."""

import re
import subprocess
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from ports import Port
from until import until

EVENT = re.compile(r'audit: event="([a-z.]+)"')
REFUSAL = re.compile(r'audit: event="request\.refused".* reason="([a-z_]+)"')


class Entrada:
    """A server of its own: fresh data, free ports. It will answer at `issuer`, which is known before it does."""

    def __init__(self, program: Path, directory: Path):
        self._program = program
        self._directory = directory
        self._log = directory / "entrada.log"
        self._port = Port()
        self.issuer = self._port.origin
        self._processes = []

    def serve(self, resources: str) -> None:
        """Serves these `[[resource]]` tables."""
        settings = f'public_url = "{self.issuer}"\nlisten = "127.0.0.1:{self._port.number}"\ndata_dir = "data"\n'
        configuration = self._directory / "entrada.toml"
        configuration.touch(mode=0o600)
        configuration.write_text(settings + self._identity_provider() + resources)
        self._start([self._program, "serve", "--config", configuration], self._log)
        until("entrada to be ready", self._ready)

    def key(self, *arguments: str) -> str:
        """What `entrada key` prints."""
        command = [self._program, "key", *arguments, "--data-dir", "data"]
        return subprocess.run(
            command, cwd=self._directory, env={}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
        ).stdout

    def events(self) -> list[str]:
        """The audit events (docs/events.md)."""
        return EVENT.findall(self._log.read_text())

    def refusals(self) -> list[str]:
        """The reasons of `request.refused`."""
        return REFUSAL.findall(self._log.read_text())

    def _identity_provider(self) -> str:
        """Starts one. It prints the `[upstream]` that leads to it."""
        printed = self._directory / "identity-provider.out"
        example = self._program.parent / "examples" / "identity-provider"
        self._start([example, self.issuer], self._directory / "identity-provider.log", printed)
        until("the identity provider's settings", lambda: "scopes = " in printed.read_text())
        return printed.read_text()

    def _ready(self) -> bool:
        code = self._processes[-1].poll()
        assert code is None, f"entrada ended with {code}:\n{self._log.read_text()}"
        try:
            return urlopen(f"{self.issuer}/healthz/ready", timeout=5).status == 200
        except URLError:
            return False

    def _start(self, command: list, errors: Path, output: Path | None = None) -> None:
        with errors.open("wb") as err, (output or errors.with_suffix(".out")).open("wb") as out:
            process = subprocess.Popen(
                command, cwd=self._directory, env={}, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        self._processes.append(process)

    def stop(self) -> None:
        """Ends it as a service manager would. It has to end well."""
        served = self._processes[1:]
        try:
            for process in served:
                process.terminate()
                assert process.wait(20) == 0, f"SIGTERM ended entrada with {process.returncode}"
        finally:
            for process in self._processes:
                process.kill()
                process.wait()
            self._port.release()
