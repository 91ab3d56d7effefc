"""The types of resources: what `azmcp` prints, and for what it does not know our own types.json."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from .azmcp import Azmcp

OWN = Path(__file__).parent.parent / "types.json"


@dataclass(frozen=True)
class Type:
    """`kind` is string, int, bool, any, null, literal, array, union, shape, record, resource or module."""

    kind: str
    # Of a literal its value; of an array the type of its items; of a union its types; otherwise what it is named for.
    of: object = None

    def __str__(self) -> str:
        match self.kind:
            case "literal":
                return repr(self.of)
            case "array":
                return f"array of {self.of}"
            case "union":
                return " or ".join(str(one) for one in self.of)
            case "shape":
                return self.of.name
            case "record":
                return "object"
        return self.kind


STRING, INT, BOOL, ANY, NULL = (Type(kind) for kind in ("string", "int", "bool", "any", "null"))
PRIMITIVES = {"string": STRING, "int": INT, "bool": BOOL, "any": ANY, "object": ANY, "array": Type("array", ANY)}


def literal(value: str) -> Type:
    return Type("literal", value)


def union(types) -> Type:
    flat = []
    for one in types:
        flat += [inner for inner in (one.of if one.kind == "union" else [one]) if inner not in flat]
    if ANY in flat:
        return ANY
    return flat[0] if len(flat) == 1 else Type("union", tuple(flat))


@dataclass
class Property:
    type: Type
    required: bool = False
    read_only: bool = False
    # What the description of an integer says of it.
    bounds: tuple[int, int] | None = None


@dataclass(eq=False)
class Shape:
    name: str
    properties: dict[str, Property] = field(default_factory=dict)
    # The type of members of any other name.
    others: Type | None = None
    # The member that says which variant it is, and those.
    discriminator: str | None = None
    variants: dict[str, Shape] = field(default_factory=dict)


@dataclass
class Schema:
    version: str
    scopes: set[str]
    body: Shape


BOUNDS = re.compile(r"Minimum value is (\d+)\.? Maximum value is (\d+)")


class Reader:
    """What `azmcp bicepschema get` prints: objects by name, and types as text such as `A | B | string` or `Sku[]`."""

    def __init__(self, parts: list):
        self.resource = next(part for part in parts if part["$type"] == "Resource")
        self.parts = {part["name"]: part for part in parts if part["$type"] in ("Object", "DiscriminatedObject")}
        self.shapes = {}

    def schema(self) -> Schema:
        body = Shape(self.resource["bodyType"]["name"])
        body.properties = self.properties(self.resource["bodyType"]["properties"])
        scopes = {scope.strip() for scope in self.resource["writableScopes"].split(",")}
        return Schema(self.resource["name"].partition("@")[2], scopes, body)

    def properties(self, listed: list) -> dict[str, Property]:
        found = {}
        for one in listed:
            flags, bounds = one.get("flags") or "", BOUNDS.search(one.get("description") or "")
            found[one["name"]] = Property(
                self.type(one["type"]),
                "Required" in flags,
                "ReadOnly" in flags,
                (int(bounds[1]), int(bounds[2])) if bounds else None,
            )
        return found

    def type(self, text: str) -> Type:
        return union(self.one(part.strip()) for part in text.split(" | "))

    def one(self, text: str) -> Type:
        if text.endswith("[]"):
            return Type("array", self.one(text[:-2]))
        if text in PRIMITIVES:
            return PRIMITIVES[text]
        return Type("shape", self.shape(text)) if text in self.parts else literal(text)

    def shape(self, name: str) -> Shape:
        if name not in self.shapes:
            # First here: a shape may have itself in it.
            shape = self.shapes[name] = Shape(name)
            part = self.parts[name]
            shape.properties = self.properties(part.get("properties") or part.get("baseProperties") or [])
            if part.get("additionalPropertiesType"):
                shape.others = self.type(part["additionalPropertiesType"])
            shape.discriminator = part.get("discriminator")
            for variant in part.get("elements") or []:
                properties = self.properties(variant["properties"])
                key = properties[shape.discriminator].type.of
                shape.variants[key] = Shape(f"{name} {key}", shape.properties | properties)
        return self.shapes[name]


def own() -> dict[str, Schema]:
    """Our own types, by `type@version`; their text is that of `azmcp`, with `!` for required and `-` for read-only."""
    found = {}
    for name, written in json.loads(OWN.read_text())["resources"].items():
        kind, _, version = name.partition("@")

        def listed(members):
            flags = {"!": "Required", "-": "ReadOnly"}
            return [
                {"name": key, "type": text.rstrip("!-"), "flags": flags.get(text[-1], "")}
                for key, text in members.items()
            ]

        parts = [
            {
                "$type": "Resource",
                "name": name,
                "writableScopes": written["scopes"],
                "bodyType": {"name": kind, "properties": listed(written["body"])},
            }
        ]
        for part, members in written.get("types", {}).items():
            members = dict(members)
            others = members.pop("*", None)
            parts.append(
                {"$type": "Object", "name": part, "properties": listed(members), "additionalPropertiesType": others}
            )
        found[name] = Reader(parts).schema()
    return found


class Types:
    """Every type that is asked for. `cache` is a directory of what `azmcp` has printed before."""

    def __init__(self, azmcp: str | None, cache: Path):
        self.azmcp, self.cache, self.own, self.known = azmcp, cache, own(), {}

    def fetch(self, kinds):
        """Asks for all of these at once."""
        ours = {name.partition("@")[0] for name in self.own}
        missing = [kind for kind in sorted(set(kinds) - ours) if not self.file(kind).exists()]
        if missing and not self.azmcp:
            raise SystemExit(f"The types of {', '.join(missing)} are not there, and there is no azmcp to ask.")
        if missing:
            self.cache.mkdir(parents=True, exist_ok=True)
            with Azmcp(self.azmcp) as azmcp:
                for kind in missing:
                    # That it does not know a type is an answer too.
                    self.file(kind).write_text(json.dumps(azmcp.schema(kind)))

    def file(self, kind: str) -> Path:
        return self.cache / f"{kind.lower().replace('/', '_')}.json"

    def get(self, kind: str, version: str) -> Schema | None:
        """None for what nobody knows in that version."""
        if f"{kind}@{version}" in self.own:
            return self.own[f"{kind}@{version}"]
        if any(name.partition("@")[0] == kind for name in self.own):
            return None
        if kind not in self.known:
            self.fetch([kind])
            parts = json.loads(self.file(kind).read_text())
            self.known[kind] = Reader(parts).schema() if parts else None
        schema = self.known[kind]
        return schema if schema and schema.version == version else None

    def version(self, kind: str) -> str | None:
        """The version in which a type is known."""
        ours = [name.partition("@")[2] for name in self.own if name.partition("@")[0] == kind]
        return ours[0] if ours else self.known.get(kind) and self.known[kind].version
