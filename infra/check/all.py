"""Everything that can be said of infra/ without Azure. `run` installs what it needs, and calls it."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import hooks
import project
import yaml
from bicep import mutations
from bicep.arm import template
from bicep.azd import Up
from bicep.check import check
from bicep.files import read
from bicep.rules import Rules
from bicep.syntax import Problem
from bicep.types import Types

HERE = Path(__file__).resolve().parent
INFRA, ROOT = HERE.parent, HERE.parent.parent
DOCKERFILES = [INFRA / "Dockerfile", INFRA / "expenses.Dockerfile"]
SCRIPTS = [*INFRA.glob("hooks/*.sh"), INFRA / "images", HERE / "run"]


class Checks:
    def __init__(self, tools: Path):
        self.bin, self.plans = Path(sys.executable).parent, tools / "plans"
        self.texts, self.files = read(INFRA)
        # The program itself, without Node around it, which Debian's is too old for.
        azmcp = next(tools.glob("node_modules/@azure/mcp-*/dist/azmcp*"), None)
        self.types = Types(str(azmcp), tools / "types")

    def of(self, texts, files) -> list[Problem]:
        """A deployment of what its types forbid says nothing more."""
        return check(files, self.types) or Rules(texts, files, ROOT).run()

    def bicep_types(self) -> list:
        return check(self.files, self.types)

    def rules(self) -> list:
        return Rules(self.texts, self.files, ROOT).run()

    def seeded_errors(self) -> list:
        before = {str(problem) for problem in self.of(self.texts, self.files)}

        def new(texts, files):
            return [problem for problem in self.of(texts, files) if str(problem) not in before]

        print(f"   {len(mutations.MUTATIONS)} errors, {len(mutations.TYPES)} of which the types forbid")
        return mutations.test(self.texts, new)

    def bicep_build(self) -> list:
        """Where the real compiler is. It fetches the extension of Microsoft Graph."""
        if not shutil.which("bicep"):
            print("   no bicep on the PATH: left out")
            return []
        paths = ["main.bicep", "entrada.bicep", "expenses.bicep"]
        return [line for path in paths for line in self.command("bicep", "build", "--stdout", str(INFRA / path))]

    def azure_yaml(self) -> list:
        return project.problems(ROOT)

    def remove_registration(self) -> list:
        return hooks.problems(INFRA)

    def hadolint(self) -> list:
        return self.command(self.bin / "hadolint", *DOCKERFILES)

    def shellcheck(self) -> list:
        return self.command(self.bin / "shellcheck", *SCRIPTS)

    def checkov(self) -> list:
        """On what a deployment makes, since it reads less of Bicep than we write."""
        exceptions = yaml.safe_load((HERE / "checkov.yaml").read_text())
        found = []
        for name, options in {"open": {}, "closed": {"USE_VNET": "true"}}.items():
            directory = self.plans / name
            directory.mkdir(parents=True, exist_ok=True)
            up = Up(self.texts, self.files, options)
            (directory / "template.json").write_text(json.dumps(template(up), indent=2))
            for dockerfile in DOCKERFILES:
                shutil.copy(dockerfile, directory)
            skipped = ",".join(exceptions["always"] + exceptions.get(name, []))
            arguments = ["--framework", "arm", "dockerfile", "--compact", "--quiet", "--skip-download"]
            said = self.command(self.bin / "checkov", "-d", directory, *arguments, "--skip-check", skipped, "-o", "json")
            found += self.failed(name, "\n".join(said)) if said else []
        return found

    @staticmethod
    def failed(name: str, said: str) -> list[str]:
        try:
            reports = json.loads(said)
        except ValueError:
            return said.splitlines()
        reports = reports if isinstance(reports, list) else [reports]
        return [
            f"{name}: {check['check_id']}: {check['check_name']} ({check['resource']})"
            for report in reports
            for check in report["results"]["failed_checks"]
        ]

    @staticmethod
    def command(*arguments) -> list[str]:
        """What it says, if it fails."""
        ran = subprocess.run([str(one) for one in arguments], capture_output=True, text=True, timeout=300)
        return (ran.stdout + ran.stderr).splitlines() or ["It failed."] if ran.returncode else []


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tools", type=Path, required=True)
    try:
        checks = Checks(arguments.parse_args().tools)
    except Problem as problem:
        print(problem)
        return 1
    failed = 0
    for step in (
        checks.bicep_types,
        checks.rules,
        checks.seeded_errors,
        checks.bicep_build,
        checks.azure_yaml,
        checks.remove_registration,
        checks.hadolint,
        checks.shellcheck,
        checks.checkov,
    ):
        began = time.monotonic()
        print(f"-- {step.__name__}", flush=True)
        for problem in step():
            failed += 1
            print(f"   {problem}")
        print(f"   {time.monotonic() - began:.1f} s", flush=True)
    if failed:
        print(f"{failed} problems")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
