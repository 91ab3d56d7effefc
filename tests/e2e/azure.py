"""What `azd up` deploys, on this machine: the programs in the environment that the Bicep sets, and stand-ins for Azure."""

import json
import subprocess
from pathlib import Path
from urllib.error import HTTPError
from urllib.error import URLError
from urllib.request import urlopen

from ports import Port
from until import until

ENVIRONMENT = Path(__file__).parents[2] / "infra" / "check" / "environment"


def bicep(*arguments: str, **outputs: str) -> dict[str, str]:
    """What infra/check/environment prints, with these outputs of main.bicep in place of its own."""
    values = [f"{name}={value}" for name, value in outputs.items()]
    printed = subprocess.run([ENVIRONMENT, *arguments, *values], capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in printed.splitlines())


class Azure:
    """The stand-ins, and both programs once they are started."""

    def __init__(self, debug: Path, release: Path, directory: Path, **options: str):
        self._release = release
        self._debug = debug
        self._directory = directory
        self._processes = []
        self._program, self._sample = Port(), Port()
        self.issuer = self._program.origin
        # What Azure decides; all else is the Bicep's.
        self._outputs = options | {
            "ENTRADA_PUBLIC_URL": self.issuer,
            "EXPENSES_URL": f"{self._sample.origin}/mcp",
        }
        deployed = bicep("--outputs", **options)
        self.tenant = deployed["ENTRADA_CREDENTIAL_ISSUER"].split("/")[-2]
        described = {
            "redirect_uri": deployed["ENTRADA_REDIRECT_URI"].replace(deployed["ENTRADA_PUBLIC_URL"], self.issuer),
            "tenant": self.tenant,
            "client_id": deployed["ENTRADA_CLIENT_ID"],
            "issuer": deployed["ENTRADA_CREDENTIAL_ISSUER"],
            "subject": deployed["ENTRADA_CREDENTIAL_SUBJECT"],
            "program": deployed["ENTRADA_IDENTITY_CLIENT_ID"],
            "sample": deployed["EXPENSES_IDENTITY_CLIENT_ID"],
            "expenses": [deployed["EXPENSES_COSMOS_DATABASE"], deployed["EXPENSES_COSMOS_CONTAINER"]],
        }
        command = [debug.parent / "examples" / "azure", json.dumps(described)]
        with (directory / "azure.log").open("wb") as log:
            self._stand_ins = subprocess.Popen(
                command, env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self._places = json.loads(self._answer())
        self._outputs |= {
            "ENTRADA_COSMOS_ENDPOINT": self._places["cosmos"],
            "ENTRADA_VAULT": self._places["vault"].rstrip("/"),
        }

    def tell(self, *words: str):
        """Says something to the stand-ins. They answer."""
        self._stand_ins.stdin.write(" ".join(words) + "\n")
        self._stand_ins.stdin.flush()
        answer = json.loads(self._answer())
        assert answer != "not understood", words
        return answer

    def _answer(self) -> str:
        line = self._stand_ins.stdout.readline()
        assert line, (self._directory / "azure.log").read_text()
        return line

    def environment(self, service: str) -> dict[str, str]:
        """All that a container has. What is not of the Bicep: where Microsoft is, and which port is free here."""
        places = self._places
        identity = {"IDENTITY_ENDPOINT": places["identity_endpoint"], "IDENTITY_HEADER": places["identity_header"]}
        here = {
            "entrada": {
                "ENTRADA_LISTEN": f"127.0.0.1:{self._program.number}",
                "ENTRADA_UPSTREAM__AUTHORITY": places["authority"],
                "ENTRADA_UPSTREAM__GRAPH": places["authority"],
            },
            "expenses": {"EXPENSES_LISTEN": f"127.0.0.1:{self._sample.number}"},
        }
        return bicep("--service", service, **self._outputs) | identity | here[service]

    def start_sample(self) -> None:
        self._start("expenses", [self._debug.parent / "expenses"])
        until("the sample to listen", self._sample.answers)

    def start_entrada(self, **changed: str) -> None:
        """As the Dockerfile does."""
        self._start("entrada", [self._release, "serve"], **changed)

    def _start(self, service: str, command: list, **changed: str) -> None:
        nothing = self._directory / "read-only"
        nothing.mkdir(mode=0o500, exist_ok=True)
        with self.log(service).open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=nothing,
                env=self.environment(service) | changed,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)

    def log(self, service: str) -> Path:
        return self._directory / f"{service}.log"

    def ended(self) -> int:
        """The exit code of what was started last, once it has ended by itself."""
        code = self._processes[-1].wait(30)
        self._processes.pop()
        return code

    def status(self, path: str) -> int:
        try:
            return urlopen(f"{self.issuer}{path}", timeout=5).status
        except HTTPError as error:
            return error.code

    def ready(self) -> None:
        """Waits as the readiness probe does."""

        def is_ready() -> bool:
            code = self._processes[-1].poll()
            assert code is None, f"entrada ended with {code}:\n{self.log('entrada').read_text()}"
            try:
                return self.status("/healthz/ready") == 200
            except URLError:
                return False

        until("entrada to be ready", is_ready)

    def events(self) -> list[dict]:
        """The audit events, from the log in JSON."""
        lines = (line for line in self.log("entrada").read_text().splitlines() if line.startswith("{"))
        return [line for line in map(json.loads, lines) if line.get("target") == "audit"]

    def stop(self) -> None:
        """Ends all. What is left of the programs has to end well, and to have written nothing."""
        try:
            for process in self._processes:
                process.terminate()
                if process.args[-1] == "serve":
                    # It goes on for a while that is long for a test, unless it is told again.
                    until("entrada to leave", lambda: "stopping" in self.log("entrada").read_text())
                    process.terminate()
                assert process.wait(60) == 0, f"SIGTERM ended it with {process.returncode}"
            assert not any((self._directory / "read-only").iterdir())
        finally:
            for process in self._processes + [self._stand_ins]:
                process.kill()
                process.wait()
            self._program.release()
            self._sample.release()
