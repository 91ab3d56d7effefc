"""Checks Bicep files against the types of what they declare and use."""

from __future__ import annotations

import difflib
import posixpath

from .syntax import Array
from .syntax import Binary
from .syntax import Call
from .syntax import Choice
from .syntax import Constant
from .syntax import File
from .syntax import Index
from .syntax import Lambda
from .syntax import Member
from .syntax import Module
from .syntax import Name
from .syntax import Node
from .syntax import NotNull
from .syntax import Object
from .syntax import Problem
from .syntax import Resource
from .syntax import Text
from .syntax import Unary
from .types import ANY
from .types import BOOL
from .types import INT
from .types import NULL
from .types import PRIMITIVES
from .types import STRING
from .types import Shape
from .types import Type
from .types import Types
from .types import literal
from .types import union


def record(**members: Type) -> Type:
    return Type("record", tuple(members.items()))


TENANT = record(tenantId=STRING, countryCode=STRING, displayName=STRING)
SUBSCRIPTION = record(id=STRING, subscriptionId=STRING, tenantId=STRING, displayName=STRING)
GROUP = record(id=STRING, name=STRING, location=STRING, type=STRING, managedBy=STRING)
ENVIRONMENT = record(
    name=STRING,
    portal=STRING,
    resourceManager=STRING,
    authentication=record(loginEndpoint=STRING, tenant=STRING, identityProvider=STRING),
    suffixes=record(acrLoginServer=STRING, keyvaultDns=STRING, sqlServerHostname=STRING, storage=STRING),
)
TEXTS = Type("array", STRING)
# The arguments that a function wants, of which those after None may be left out, and what it gives.
FUNCTIONS = {
    "contains": ([ANY, ANY], BOOL),
    "empty": ([ANY], BOOL),
    "endsWith": ([STRING, STRING], BOOL),
    "environment": ([], ENVIRONMENT),
    "int": ([union([STRING, INT])], INT),
    "join": ([TEXTS, STRING], STRING),
    "json": ([STRING], ANY),
    "length": ([ANY], INT),
    "replace": ([STRING, STRING, STRING], STRING),
    "resourceGroup": ([], GROUP),
    "resourceId": ([STRING, STRING, None, STRING], STRING),
    "split": ([STRING, STRING], TEXTS),
    "startsWith": ([STRING, STRING], BOOL),
    "string": ([ANY], STRING),
    "subscription": ([], SUBSCRIPTION),
    "subscriptionResourceId": ([STRING, STRING], STRING),
    "take": ([STRING, INT], STRING),
    "tenant": ([], TENANT),
    "toLower": ([STRING], STRING),
    "toUpper": ([STRING], STRING),
    "trim": ([STRING], STRING),
}
SEVERAL_TEXTS = {"guid", "uniqueString"}
DECORATORS = {"allowed", "description", "maxLength", "maxValue", "metadata", "minLength", "minValue", "secure"}
SCOPES = {"resourceGroup": "ResourceGroup", "subscription": "Subscription"}


def near(name: str, known) -> str:
    found = difflib.get_close_matches(name, list(known), 1)
    return f" Is it {found[0]}?" if found else ""


class Checker:
    """One file. `files` are all of them by path, for its modules."""

    def __init__(self, file: File, files: dict[str, File], types: Types):
        self.file, self.files, self.types = file, files, types
        self.problems: list[Problem] = []
        self.used: set[str] = set()
        self.locals: list[dict[str, Type]] = []
        self.inferring: list[str] = []

    def problem(self, node: Node, text: str):
        problem = Problem(self.file.path, node.line, text)
        if problem not in self.problems:
            self.problems.append(problem)

    def run(self) -> list[Problem]:
        if self.file.scope not in SCOPES:
            self.problems.append(Problem(self.file.path, 1, f"targetScope {self.file.scope} is not known here."))
            return self.problems
        for param in self.file.params.values():
            self.param(param)
        for var in self.file.vars.values():
            self.infer(Name(var.line, var.name))
            self.used.discard(var.name)
        for resource in self.file.every_resource():
            self.resource(resource)
        for module in self.file.modules.values():
            self.module(module)
        for output in self.file.outputs.values():
            self.declared(output)
            self.value(output.value, PRIMITIVES.get(output.type, ANY), f"output {output.name}")
        # Once more, since a declaration above may be used by one below.
        for kind, table in (("param", self.file.params), ("var", self.file.vars)):
            for name, node in table.items():
                if name not in self.used:
                    self.problem(node, f"{kind} {name} is used nowhere.")
        return self.problems

    # Declarations.

    def declared(self, node):
        if node.type not in PRIMITIVES or node.type == "any":
            self.problem(node, f"{node.type} is no type.")

    def param(self, param):
        self.declared(param)
        for name in set(param.decorators) - DECORATORS:
            self.problem(param, f"@{name} is no decorator.{near(name, DECORATORS)}")
        if param.default is not None:
            self.value(param.default, self.param_type(param), f"the default of {param.name}")

    def param_type(self, param) -> Type:
        allowed = param.decorators.get("allowed")
        if allowed and isinstance(allowed[0], Array):
            return union(literal(item.literal()) for item in allowed[0].items)
        return PRIMITIVES.get(param.type, ANY)

    def resource(self, resource: Resource):
        schema = self.types.get(resource.type, resource.version)
        if not schema:
            known = self.types.version(resource.type)
            hint = f" It is known in {known}." if known else ""
            self.problem(resource, f"The type {resource.type}@{resource.version} is not known.{hint}")
            return
        if resource.condition:
            self.value(resource.condition, BOOL, "the condition")
        where = resource.name
        body = resource.body
        extras = {"parent": body.get("parent"), "scope": body.get("scope"), "dependsOn": body.get("dependsOn")}
        self.parent(resource, extras["parent"])
        scope = SCOPES[self.file.scope]
        if extras["scope"]:
            found = self.infer(extras["scope"])
            if found.kind != "resource":
                self.problem(extras["scope"], f"The scope of {where} is {found}, and no resource.")
            elif "Extension" not in schema.scopes and resource.type != "Microsoft.Authorization/roleAssignments":
                self.problem(resource, f"{resource.type} is deployed to no resource.")
        elif not resource.existing and schema.scopes.isdisjoint({scope, "AllExceptExtension"}):
            self.problem(resource, f"{resource.type} is not deployed to a {scope}.")
        if extras["dependsOn"]:
            self.infer(extras["dependsOn"])
        members = [(key, value) for key, value in body.members if key.literal() not in extras]
        if resource.existing:
            for key, value in members:
                if key.literal() not in ("name", "appId", "uniqueName"):
                    self.problem(key, f"{where} is there already: {key.literal()} cannot be said of it.")
                self.infer(value)
            return
        self.object(Object(body.line, members), schema.body, where)

    def parent(self, resource: Resource, parent: Node | None):
        """A resource in another has that one's type in its own."""
        segments = resource.type.count("/")
        if parent:
            found = self.infer(parent)
            if found.kind != "resource":
                self.problem(parent, f"The parent of {resource.name} is {found}, and no resource.")
            elif resource.type.rpartition("/")[0] != found.of.type:
                self.problem(parent, f"{found.of.type} is no parent of {resource.type}.")
        elif segments > 1 and not resource.outer:
            name = resource.body.get("name")
            slashes = sum(part.count("/") for part in name.parts if isinstance(part, str)) if isinstance(name, Text) else 0
            if slashes != segments - 1:
                self.problem(resource, f"{resource.name} has neither a parent nor one in its name.")

    def module(self, module: Module):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self.file.path), module.path))
        target = self.files.get(path)
        if not target:
            self.problem(module, f"{module.path} is not there.")
            return
        if module.condition:
            self.value(module.condition, BOOL, "the condition")
        for key, value in module.body.members:
            if key.literal() not in ("name", "scope", "params", "dependsOn"):
                self.problem(key, f"A module has no {key.literal()}.")
        name, scope = module.body.get("name"), module.body.get("scope")
        if name:
            self.value(name, STRING, f"the name of {module.name}")
        self.scope_of(module, scope, target)
        params = module.body.get("params") or Object(module.line, [])
        given = {key.literal(): value for key, value in params.members}
        for key, value in given.items():
            if key not in target.params:
                self.problem(value, f"{module.path} has no param {key}.{near(key, target.params)}")
                self.infer(value)
            else:
                self.value(value, self.param_type(target.params[key]), f"{module.name}.{key}")
        for key, param in target.params.items():
            if param.default is None and key not in given:
                self.problem(module, f"{module.name} is not told {key}.")

    def scope_of(self, module: Module, scope: Node | None, target: File):
        found = self.infer(scope) if scope else None
        reached = self.file.scope
        if found and found.kind == "resource" and found.of.type == "Microsoft.Resources/resourceGroups":
            reached = "resourceGroup"
        elif found:
            self.problem(scope, f"The scope of {module.name} is {found}, and no resource group.")
            return
        if reached != target.scope:
            self.problem(module, f"{module.path} is deployed to a {target.scope}, and {module.name} to a {reached}.")

    # Values that are wanted to be of a type.

    def value(self, node: Node, wanted: Type, where: str, bounds: tuple[int, int] | None = None):
        # What an object or an array is to be, apart from null.
        kinds = {Object: "shape", Array: "array"}.get(type(node))
        if wanted.kind == "union" and kinds:
            wanted = next((one for one in wanted.of if one.kind == kinds), wanted)
        if isinstance(node, Choice):
            self.value(node.condition, BOOL, f"the condition of {where}")
            self.value(node.yes, wanted, where, bounds)
            self.value(node.no, wanted, where, bounds)
        elif isinstance(node, Object) and wanted.kind == "shape":
            self.object(node, wanted.of, where)
        elif isinstance(node, Array) and wanted.kind == "array":
            for index, item in enumerate(node.items):
                self.value(item, wanted.of, f"{where}[{index}]")
        else:
            found = self.infer(node)
            if reason := self.mismatch(found, wanted):
                self.problem(node, f"{where}: {reason}")
            if bounds and isinstance(node, Constant) and not bounds[0] <= node.value <= bounds[1]:
                self.problem(node, f"{where}: {node.value} is not between {bounds[0]} and {bounds[1]}.")

    def object(self, node: Object, shape: Shape, where: str):
        if shape.discriminator:
            said = node.get(shape.discriminator)
            variant = shape.variants.get(said.literal()) if isinstance(said, Text) else None
            if not variant:
                self.problem(node, f"{where}.{shape.discriminator} has to be one of {', '.join(shape.variants)}.")
                return
            shape = variant
        for key, value in node.members:
            name = key.literal()
            for part in key.parts:
                if isinstance(part, Node):
                    self.infer(part)
            known = shape.properties.get(name) if name is not None else None
            if known and known.read_only:
                self.problem(key, f"{where}.{name} is read-only.")
            elif known:
                # What is optional may be null, which is the same as leaving it out.
                wanted = known.type if known.required else union([known.type, NULL])
                self.value(value, wanted, f"{where}.{name}", known.bounds)
            elif shape.others:
                self.value(value, shape.others, f"{where}.{name}")
            else:
                self.problem(key, f"{where} has no {name}.{near(name or '', shape.properties)}")
                self.infer(value)
        for name, known in shape.properties.items():
            if known.required and not known.read_only and node.get(name) is None:
                self.problem(node, f"{where} lacks {name}.")

    def mismatch(self, found: Type, wanted: Type) -> str | None:
        if ANY in (found, wanted) or found == wanted:
            return None
        if found.kind == "union":
            return next((reason for one in found.of if (reason := self.mismatch(one, wanted))), None)
        if wanted.kind == "union":
            literals = [one.of for one in wanted.of if one.kind == "literal"]
            # Where a type lists values and takes any text as well, the list is all that is known to work.
            if found.kind == "literal" and literals:
                return None if found.of in literals else f"{found.of!r} is none of {', '.join(literals)}."
            if all(self.mismatch(found, one) for one in wanted.of):
                shown = union(one for one in wanted.of if one != NULL)
                return self.mismatch(found, shown) if shown.kind != "union" else f"{shown} is wanted, not {found}."
            return None
        if wanted == STRING and found.kind == "literal":
            return None
        if wanted.kind == "array" and found.kind == "array":
            return self.mismatch(found.of, wanted.of)
        if wanted.kind == "shape" and found.kind == "record":
            return self.record_mismatch(dict(found.of), wanted.of)
        if wanted.kind == "shape" and found.kind == "shape" and found.of.name == wanted.of.name:
            return None
        return f"{wanted} is wanted, not {found}."

    def record_mismatch(self, members: dict[str, Type], shape: Shape) -> str | None:
        for name, found in members.items():
            known = shape.properties.get(name)
            wanted = known.type if known else shape.others
            if not wanted:
                return f"{shape.name} has no {name}.{near(name, shape.properties)}"
            if reason := self.mismatch(found, wanted):
                return f"{name}: {reason}"
        missing = [name for name, known in shape.properties.items() if known.required and name not in members]
        return f"{missing[0]} is missing." if missing else None

    # Expressions, of which the type is asked.

    def infer(self, node: Node) -> Type:
        match node:
            case Text():
                for part in node.parts:
                    if isinstance(part, Node):
                        found = self.infer(part)
                        if found.kind in ("resource", "module", "record", "shape", "array"):
                            self.problem(part, f"{found} is no text.")
                return STRING if node.literal() is None else literal(node.literal())
            case Constant(value=value):
                return {bool: BOOL, int: INT}.get(type(value), NULL)
            case Array(items=items):
                return Type("array", union([self.infer(item) for item in items]) if items else ANY)
            case Object():
                return self.infer_object(node)
            case Name():
                return self.infer_name(node)
            case Member():
                return self.infer_member(node)
            case NotNull(base=base):
                return self.infer_name(base, surely=True) if isinstance(base, Name) else self.infer(base)
            case Index(base=base, index=index):
                self.infer(index)
                found = self.infer(base)
                return found.of if found.kind == "array" else ANY
            case Unary(operator=operator, operand=operand):
                wanted = BOOL if operator == "!" else INT
                self.value(operand, wanted, f"the operand of {operator}")
                return wanted
            case Binary():
                return self.infer_binary(node)
            case Choice():
                self.value(node.condition, BOOL, "the condition")
                return union([self.infer(node.yes), self.infer(node.no)])
            case Call():
                return self.infer_call(node)
        self.problem(node, f"A {type(node).__name__.lower()} has no place here.")
        return ANY

    def infer_object(self, node: Object) -> Type:
        members = {}
        for key, value in node.members:
            if key.literal() is None:
                self.infer(key)
            members[key.literal() or "?"] = self.infer(value)
        return record(**members)

    def infer_name(self, node: Name, surely: bool = False) -> Type:
        for scope in reversed(self.locals):
            if node.name in scope:
                return scope[node.name]
        self.used.add(node.name)
        file = self.file
        if node.name in file.params:
            return self.param_type(file.params[node.name])
        if node.name in file.vars:
            if node.name in self.inferring:
                self.problem(node, f"{node.name} is made of itself.")
                return ANY
            self.inferring.append(node.name)
            found = self.infer(file.vars[node.name].value)
            self.inferring.pop()
            return found
        declared = file.modules.get(node.name)
        kind = "module"
        if not declared:
            declared = next((one for one in file.every_resource() if one.name == node.name and not one.outer), None)
            kind = "resource"
        if not declared:
            known = [*file.params, *file.vars, *file.resources, *file.modules]
            self.problem(node, f"{node.name} is declared nowhere.{near(node.name, known)}")
            return ANY
        if declared.condition and not surely:
            self.problem(node, f"{node.name} may not be there: write {node.name}! where it is.")
        return Type(kind, declared)

    def infer_member(self, node: Member) -> Type:
        base = node.base
        # The outputs of a module are no value of their own.
        if isinstance(base, Member) and base.name == "outputs":
            module = self.infer(base.base)
            if module.kind == "module":
                return self.infer_output(node, module.of)
        found = self.infer(base)
        if found.kind == "resource":
            return self.infer_property(node, found.of)
        if found.kind == "module":
            if node.name == "name":
                return STRING
            self.problem(node, f"{found.of.name} has outputs and a name, and no {node.name}.")
            return ANY
        if found.kind == "shape":
            return self.of_shape(node, found.of)
        if found.kind == "record":
            members = dict(found.of)
            if node.name in members:
                return members[node.name]
            self.problem(node, f"There is no {node.name} here.{near(node.name, members)}")
        elif found != ANY:
            self.problem(node, f"{found} has no {node.name}.")
        return ANY

    def infer_output(self, node: Member, module: Module) -> Type:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self.file.path), module.path))
        outputs = self.files[path].outputs if path in self.files else {}
        if node.name not in outputs:
            self.problem(node, f"{module.path} has no output {node.name}.{near(node.name, outputs)}")
            return ANY
        return PRIMITIVES.get(outputs[node.name].type, ANY)

    def infer_property(self, node: Member, resource: Resource) -> Type:
        if node.child:
            inner = next((one for one in resource.body.nested if one.name == node.name), None)
            if inner:
                return Type("resource", inner)
            self.problem(node, f"{resource.name} has no resource {node.name} in it.")
            return ANY
        if node.name in ("id", "name", "type", "apiVersion"):
            return STRING
        schema = self.types.get(resource.type, resource.version)
        return self.of_shape(node, schema.body) if schema else ANY

    def of_shape(self, node: Member, shape: Shape) -> Type:
        if node.name in shape.properties:
            return shape.properties[node.name].type
        if shape.others:
            return shape.others
        self.problem(node, f"{shape.name} has no {node.name}.{near(node.name, shape.properties)}")
        return ANY

    def infer_binary(self, node: Binary) -> Type:
        match node.operator:
            case "&&" | "||":
                self.value(node.left, BOOL, f"the left of {node.operator}")
                self.value(node.right, BOOL, f"the right of {node.operator}")
                return BOOL
            case "==" | "!=":
                left, right = self.infer(node.left), self.infer(node.right)
                if self.mismatch(left, right) and self.mismatch(right, left):
                    self.problem(node, f"{left} is never {right}.")
                return BOOL
            case "??":
                return union([self.infer(node.left), self.infer(node.right)])
        self.value(node.left, INT, f"the left of {node.operator}")
        self.value(node.right, INT, f"the right of {node.operator}")
        return BOOL if node.operator in ("<", "<=", ">", ">=") else INT

    def infer_call(self, node: Call) -> Type:
        name, arguments = node.function, node.arguments
        if name in ("map", "filter") and len(arguments) == 2 and isinstance(arguments[1], Lambda):
            items = self.infer(arguments[0])
            if items.kind != "array" and items != ANY:
                self.problem(node, f"{name} wants an array, not {items}.")
            self.locals.append({arguments[1].parameters[0]: items.of if items.kind == "array" else ANY})
            found = self.infer(arguments[1].body)
            self.locals.pop()
            return Type("array", found) if name == "map" else items
        if name == "items" and len(arguments) == 1:
            found = self.infer(arguments[0])
            values = [kind for _, kind in found.of] if found.kind == "record" else [ANY]
            texts = all(not self.mismatch(kind, STRING) for kind in values)
            return Type("array", record(key=STRING, value=STRING if texts else ANY))
        if name == "union" and len(arguments) > 1:
            return self.infer_union(arguments)
        if name in SEVERAL_TEXTS and arguments:
            for argument in arguments:
                self.value(argument, STRING, f"an argument of {name}")
            return STRING
        if name not in FUNCTIONS:
            self.problem(node, f"{name} is no function that is known here.{near(name, FUNCTIONS)}")
            return ANY
        wanted, result = FUNCTIONS[name]
        least = wanted.index(None) if None in wanted else len(wanted)
        wanted = [one for one in wanted if one]
        if not least <= len(arguments) <= len(wanted):
            self.problem(node, f"{name} takes no {len(arguments)} arguments.")
        for argument, kind in zip(arguments, wanted):
            self.value(argument, kind, f"an argument of {name}")
        return result

    def infer_union(self, arguments: list[Node]) -> Type:
        members = {}
        for argument in arguments:
            found = self.infer(argument)
            # Either branch of a choice may be the one.
            for one in found.of if found.kind == "union" else [found]:
                if one.kind != "record":
                    return ANY
                members |= dict(one.of)
        return record(**members)


def check(files: dict[str, File], types: Types) -> list[Problem]:
    """Every problem of every file."""
    types.fetch({resource.type for file in files.values() for resource in file.every_resource()})
    return [problem for file in files.values() for problem in Checker(file, files, types).run()]
