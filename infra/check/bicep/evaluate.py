"""Deploys to nowhere: what a deployment would make, with stand-ins for what only Azure knows."""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import uuid
from dataclasses import dataclass
from dataclasses import field

from .syntax import Array
from .syntax import Binary
from .syntax import Call
from .syntax import Choice
from .syntax import Constant
from .syntax import File
from .syntax import Index
from .syntax import Member
from .syntax import Name
from .syntax import Node
from .syntax import NotNull
from .syntax import Object
from .syntax import Problem
from .syntax import Resource
from .syntax import Text
from .syntax import Unary

TENANT = "11111111-2222-3333-4444-555555555555"
SUBSCRIPTION = "99999999-8888-7777-6666-555555555555"
DOMAIN = "blue-sea-0123abcd.westeurope.azurecontainerapps.io"


def guid(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "|".join(parts)))


def unique(*parts: str) -> str:
    """13 letters and digits, as Azure's are."""
    digest = hashlib.sha256("|".join(parts).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:13]


@dataclass(eq=False)
class Made:
    """A resource of a deployment."""

    declared: Resource
    name: str
    id: str
    body: dict
    # The id of what it is an extension of: of a role assignment, what the role is for.
    scope: str | None = None

    @property
    def type(self) -> str:
        return self.declared.type

    def get(self, member: str):
        own = {"id": self.id, "name": self.name, "type": self.type, "apiVersion": self.declared.version}
        return own[member] if member in own else merged(self.body, STAND_INS.get(self.type, lambda made: {})(self)).get(member)


def merged(ours: dict, theirs: dict) -> dict:
    return ours | {
        key: merged(ours[key], value) if isinstance(ours.get(key), dict) and isinstance(value, dict) else value
        for key, value in theirs.items()
    }


def graph(made: Made) -> dict:
    return {"id": guid("object", made.id), "appId": guid("app", made.id)}


def ingress(made: Made) -> dict:
    inside = "" if made.body["properties"]["configuration"]["ingress"]["external"] else "internal."
    return {"properties": {"configuration": {"ingress": {"fqdn": f"{made.name}.{inside}{DOMAIN}"}}}}


# What Azure says of a resource once it is there.
STAND_INS = {
    "Microsoft.App/containerApps": ingress,
    "Microsoft.App/managedEnvironments": lambda made: {"properties": {"defaultDomain": DOMAIN}},
    "Microsoft.ContainerRegistry/registries": lambda made: {"properties": {"loginServer": f"{made.name}.azurecr.io"}},
    "Microsoft.DocumentDB/databaseAccounts": lambda made: {
        "properties": {"documentEndpoint": f"https://{made.name}.documents.azure.com:443/"}
    },
    "Microsoft.Graph/applications": graph,
    "Microsoft.Graph/servicePrincipals": lambda made: {"id": guid("principal", made.id)},
    "Microsoft.ManagedIdentity/userAssignedIdentities": lambda made: {
        "properties": {
            "clientId": guid("client", made.id),
            "principalId": guid("principal", made.id),
            "tenantId": TENANT,
        }
    },
}


@dataclass
class World:
    """Where files are deployed to: all that was made, and what it is deployed by."""

    files: dict[str, File]
    made: list[Made] = field(default_factory=list)

    def deploy(self, path: str, params: dict, group: str | None = None) -> Deployment:
        deployment = Deployment(self, self.files[path], params, group)
        deployment.run()
        return deployment


class Deployment:
    def __init__(self, world: World, file: File, params: dict, group: str | None):
        self.world, self.file, self.given, self.group = world, file, params, group
        self.values: dict[str, object] = {}
        self.locals: list[dict] = []
        self.outputs: dict[str, object] = {}

    def fail(self, node: Node, text: str):
        raise Problem(self.file.path, node.line, text)

    def run(self):
        for name in (*self.file.resources, *self.file.modules):
            self.named(name)
        for name, output in self.file.outputs.items():
            self.outputs[name] = self.evaluate(output.value)
            self.typed(output, name, self.outputs[name])

    def typed(self, node: Node, name: str, value: object):
        kinds = {"string": str, "int": int, "bool": bool, "array": list, "object": dict}
        if not isinstance(value, kinds[node.type]) or (node.type == "int" and isinstance(value, bool)):
            self.fail(node, f"{name} is {value!r}, and no {node.type}.")

    # Names.

    def named(self, name: str, line: int = 0):
        if name not in self.values:
            self.values[name] = self.declared(name, line)
        return self.values[name]

    def declared(self, name: str, line: int):
        file = self.file
        if name in file.params:
            return self.param(file.params[name])
        if name in file.vars:
            return self.evaluate(file.vars[name].value)
        if name in file.modules:
            return self.module(file.modules[name])
        if name in file.resources:
            return self.resource(file.resources[name])
        raise Problem(file.path, line, f"{name} is declared nowhere.")

    def param(self, param):
        if param.name not in self.given:
            if param.default is None:
                self.fail(param, f"{param.name} is not given.")
            return self.evaluate(param.default)
        value = self.given[param.name]
        self.typed(param, param.name, value)
        rules = {name: self.evaluate(arguments[0]) for name, arguments in param.decorators.items() if arguments}
        if "allowed" in rules and value not in rules["allowed"]:
            self.fail(param, f"{param.name} may not be {value!r}.")
        for rule in rules.keys() & {"minLength", "maxLength", "minValue", "maxValue"}:
            size = len(value) if rule.endswith("Length") else value
            if size < rules[rule] if rule.startswith("min") else size > rules[rule]:
                self.fail(param, f"{param.name} may not be {value!r}.")
        return value

    def module(self, module):
        if module.condition and not self.evaluate(module.condition):
            return None
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self.file.path), module.path))
        scope = module.body.get("scope")
        group = self.evaluate(scope).name if scope else self.group
        return self.world.deploy(path, self.evaluate(module.body.get("params")), group)

    def resource(self, resource: Resource, outer: Made | None = None) -> Made | None:
        if resource.condition and not self.evaluate(resource.condition):
            return None
        body = {
            key.literal(): value
            for key, value in resource.body.members
            if key.literal() not in ("parent", "scope", "dependsOn")
        }
        name = next(self.evaluate(body[key]) for key in ("name", "uniqueName", "appId") if key in body)
        parent = self.evaluate(resource.body.get("parent")) if resource.body.get("parent") else outer
        scope = self.evaluate(resource.body.get("scope")) if resource.body.get("scope") else None
        made = Made(resource, name, self.id(resource, name, parent, scope), {}, scope.id if scope else None)
        # A resource in it may name it.
        self.values.setdefault(resource.name, made)
        made.body = {key: self.evaluate(value) for key, value in body.items()}
        if not resource.existing:
            self.world.made.append(made)
        for nested in resource.body.nested:
            made.body.setdefault("::", {})[nested.name] = self.resource(nested, made)
        return made

    def id(self, resource: Resource, name: str, parent: Made | None, scope: Made | None) -> str:
        if resource.type.startswith("Microsoft.Graph/"):
            return f"{resource.type}/{name}"
        if parent:
            return f"{parent.id}/{resource.type.rpartition('/')[2]}/{name}"
        place = f"/subscriptions/{SUBSCRIPTION}"
        if resource.type == "Microsoft.Resources/resourceGroups":
            return f"{place}/resourceGroups/{name}"
        base = scope.id if scope else f"{place}/resourceGroups/{self.group}"
        return f"{base}/providers/{resource.type}/{name}"

    # Expressions.

    def evaluate(self, node: Node):
        match node:
            case Text(parts=parts):
                return "".join(part if isinstance(part, str) else self.text(part) for part in parts)
            case Constant(value=value):
                return value
            case Array(items=items):
                return [self.evaluate(item) for item in items]
            case Object(members=members):
                return {self.evaluate(key): self.evaluate(value) for key, value in members}
            case Name(name=name):
                local = next((scope[name] for scope in reversed(self.locals) if name in scope), None)
                return local if local is not None else self.named(name, node.line)
            case NotNull(base=base):
                return self.evaluate(base)
            case Member():
                return self.member(node)
            case Index(base=base, index=index):
                return self.evaluate(base)[self.evaluate(index)]
            case Unary(operator=operator, operand=operand):
                value = self.evaluate(operand)
                return (not value) if operator == "!" else -value
            case Binary():
                return self.binary(node)
            case Choice(condition=condition, yes=yes, no=no):
                return self.evaluate(yes if self.evaluate(condition) else no)
            case Call():
                return self.call(node)
        self.fail(node, f"A {type(node).__name__.lower()} has no value.")

    def text(self, node: Node) -> str:
        value = self.evaluate(node)
        return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)

    def member(self, node: Member):
        base = self.evaluate(node.base)
        if base is None and not node.safe:
            self.fail(node, f"{node.name} is asked of what is not deployed.")
        if isinstance(base, Deployment):
            return base.outputs
        if isinstance(base, Made):
            found = base.body["::"].get(node.name) if node.child else base.get(node.name)
        else:
            found = base.get(node.name) if base is not None else None
        if found is None and not node.safe:
            self.fail(node, f"There is no stand-in for {node.name} here.")
        return found

    def binary(self, node: Binary):
        left = self.evaluate(node.left)
        match node.operator:
            case "&&":
                return left and self.evaluate(node.right)
            case "||":
                return left or self.evaluate(node.right)
            case "??":
                return self.evaluate(node.right) if left is None else left
        right = self.evaluate(node.right)
        return {
            "==": lambda: left == right,
            "!=": lambda: left != right,
            "<": lambda: left < right,
            "<=": lambda: left <= right,
            ">": lambda: left > right,
            ">=": lambda: left >= right,
            "+": lambda: left + right,
            "-": lambda: left - right,
            "*": lambda: left * right,
            "/": lambda: left // right,
            "%": lambda: left % right,
        }[node.operator]()

    def call(self, node: Call):
        if node.function in ("map", "filter"):
            items, function = self.evaluate(node.arguments[0]), node.arguments[1]
            results = []
            for item in items:
                self.locals.append({function.parameters[0]: item})
                results.append(self.evaluate(function.body))
                self.locals.pop()
            return results if node.function == "map" else [item for item, keep in zip(items, results) if keep]
        arguments = [self.evaluate(argument) for argument in node.arguments]
        try:
            return self.functions()[node.function](*arguments)
        except (ValueError, TypeError) as error:
            self.fail(node, f"{node.function} fails: {error}.")

    def functions(self) -> dict:
        place = f"/subscriptions/{SUBSCRIPTION}"
        return {
            "contains": lambda all, one: one in all,
            "empty": lambda value: not value,
            "endsWith": str.endswith,
            "environment": lambda: {
                "name": "AzureCloud",
                "authentication": {"loginEndpoint": "https://login.microsoftonline.com/"},
                "suffixes": {"keyvaultDns": ".vault.azure.net", "acrLoginServer": ".azurecr.io"},
            },
            "guid": guid,
            "int": int,
            "items": lambda record: [{"key": key, "value": record[key]} for key in sorted(record)],
            "join": lambda parts, between: between.join(parts),
            "json": json.loads,
            "length": len,
            "replace": str.replace,
            "resourceGroup": lambda: {
                "name": self.group,
                "id": f"{place}/resourceGroups/{self.group}",
                "location": "westeurope",
            },
            "split": str.split,
            "startsWith": str.startswith,
            "string": lambda value: value if isinstance(value, str) else json.dumps(value, separators=(",", ":")),
            "subscription": lambda: {"id": place, "subscriptionId": SUBSCRIPTION, "tenantId": TENANT},
            "subscriptionResourceId": lambda kind, name: f"{place}/providers/{kind}/{name}",
            "take": lambda text, count: text[:count],
            "tenant": lambda: {"tenantId": TENANT},
            "toLower": str.lower,
            "toUpper": str.upper,
            "trim": str.strip,
            "union": lambda *records: {key: value for record in records for key, value in record.items()},
            "uniqueString": unique,
        }
