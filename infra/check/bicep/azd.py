"""What azd does with these files: parameters from its environment, outputs back into it, one service after the other."""

from __future__ import annotations

import json
import re

from .evaluate import SUBSCRIPTION
from .evaluate import Deployment
from .evaluate import World
from .syntax import File
from .syntax import Problem

VARIABLE = re.compile(r"\$\{(\w+)(?:=([^}]*))?\}")
SERVICES = ("entrada", "expenses")
# What azd asks for, or has from whoever is signed in.
BASIC = {
    "AZURE_ENV_NAME": "sample",
    "AZURE_LOCATION": "westeurope",
    "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
}


def parameters(path: str, text: str) -> dict[str, str]:
    try:
        return {name: one["value"] for name, one in json.loads(text)["parameters"].items()}
    except (ValueError, KeyError) as error:
        raise Problem(path, 1, f"This is no file of parameters: {error}.") from None


def variables(given: dict[str, str]) -> set[str]:
    return {found[1] for text in given.values() for found in VARIABLE.finditer(text)}


def substituted(text: str, environment: dict[str, str]) -> str:
    return VARIABLE.sub(lambda found: environment.get(found[1]) or found[2] or "", text)


def main_params(path: str, text: str, file: File, environment: dict[str, str]) -> dict:
    """An option that is not set leaves the default; a number or a boolean is made of its text."""
    found = {}
    for name, written in parameters(path, text).items():
        value = substituted(written, environment)
        kind = file.params[name].type if name in file.params else "string"
        if value:
            converted = {"bool": {"true": True, "false": False}.get(value.lower(), value)}
            if kind == "int" and value.lstrip("-").isdigit():
                converted["int"] = int(value)
            found[name] = converted.get(kind, value)
    return found


def service_params(path: str, text: str, environment: dict[str, str]) -> dict:
    """Here azd replaces in the text of the file, and reads that: whatever it is stays text, the empty one too."""
    return parameters(path, substituted(text, environment))


class Up:
    """`azd up`, with these options set. `texts` are the files as they are, `files` what was read of the Bicep ones."""

    def __init__(self, texts: dict[str, str], files: dict[str, File], options: dict[str, str]):
        self.environment = BASIC | options
        self.world = World(files)
        given = main_params("main.parameters.json", texts["main.parameters.json"], files["main.bicep"], self.environment)
        self.main: Deployment = self.world.deploy("main.bicep", given)
        self.environment |= {name: str(value) for name, value in self.main.outputs.items()}
        for service in SERVICES:
            image = f"{self.environment['AZURE_CONTAINER_REGISTRY_ENDPOINT']}/{service}:1"
            self.environment[f"SERVICE_{service.upper()}_IMAGE_NAME"] = image
        self.services = {}
        for service in SERVICES:
            self.services[service] = self.deploy(texts, service, self.environment)

    def deploy(self, texts: dict[str, str], service: str, environment: dict[str, str]) -> Deployment:
        path = f"{service}.parameters.json"
        params = service_params(path, texts[path], environment)
        return self.world.deploy(f"{service}.bicep", params, environment["AZURE_RESOURCE_GROUP"])

    def container(self, service: str) -> dict:
        """The one container of a service, as the Bicep describes it."""
        return self.app(service).body["properties"]["template"]["containers"][0]

    def app(self, service: str):
        return self.services[service].values["app"]

    def variables(self, service: str) -> dict[str, str]:
        return {one["name"]: one["value"] for one in self.container(service)["env"]}
