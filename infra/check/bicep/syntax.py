"""Reads Bicep: as much of the language as infra/ uses. What it does not know is an error, never passed over."""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import field


@dataclass
class Problem(Exception):
    """Something wrong at a line of a file, in words."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclass
class Node:
    line: int


@dataclass
class Text(Node):
    """A string: pieces of text, and expressions between them."""

    parts: list

    def literal(self) -> str | None:
        if any(isinstance(part, Node) for part in self.parts):
            return None
        return "".join(self.parts)


@dataclass
class Constant(Node):
    """A number, a boolean or null."""

    value: object


@dataclass
class Name(Node):
    name: str


@dataclass
class Array(Node):
    items: list


@dataclass
class Object(Node):
    """`members` are pairs of a key, which may be interpolated, and a value; `nested` are child resources."""

    members: list
    nested: list = field(default_factory=list)

    def get(self, key: str):
        return next((value for name, value in self.members if name.literal() == key), None)


@dataclass
class Call(Node):
    function: str
    arguments: list


@dataclass
class Member(Node):
    """`base.name`, `base.?name` when `safe`, `base::name` when `child`."""

    base: Node
    name: str
    safe: bool = False
    child: bool = False


@dataclass
class Index(Node):
    base: Node
    index: Node


@dataclass
class NotNull(Node):
    base: Node


@dataclass
class Unary(Node):
    operator: str
    operand: Node


@dataclass
class Binary(Node):
    operator: str
    left: Node
    right: Node


@dataclass
class Choice(Node):
    condition: Node
    yes: Node
    no: Node


@dataclass
class Lambda(Node):
    parameters: list
    body: Node


@dataclass
class Param(Node):
    name: str
    type: str
    default: Node | None
    decorators: dict


@dataclass
class Var(Node):
    name: str
    value: Node


@dataclass
class Output(Node):
    name: str
    type: str
    value: Node


@dataclass
class Resource(Node):
    name: str
    type: str
    version: str
    existing: bool
    condition: Node | None
    body: Object
    outer: Resource | None = None


@dataclass
class Module(Node):
    name: str
    path: str
    condition: Node | None
    body: Object


@dataclass
class File:
    path: str
    scope: str = "resourceGroup"
    extensions: list = field(default_factory=list)
    params: dict = field(default_factory=dict)
    vars: dict = field(default_factory=dict)
    resources: dict = field(default_factory=dict)
    modules: dict = field(default_factory=dict)
    outputs: dict = field(default_factory=dict)

    def every_resource(self):
        """Nested ones too."""
        waiting = list(self.resources.values())
        while waiting:
            resource = waiting.pop(0)
            yield resource
            waiting += resource.body.nested


TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r]+|//[^\n]*|/\*.*?\*/)
    |(?P<newline>\n)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<number>\d+)
    |(?P<text>'''.*?'''|')
    |(?P<mark>=>|==|!=|<=|>=|&&|\|\||\?\?|\.\?|::|[-+*/%=<>!?:.,()\[\]{}@])
    """,
    re.VERBOSE | re.DOTALL,
)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "'": "'", "\\": "\\", "$": "$"}


class Lexer:
    """Tokens are `(kind, value, line)`; the value of a text is its parts."""

    def __init__(self, path: str, source: str):
        self.path, self.source, self.at, self.line = path, source, 0, 1
        self.tokens = []

    def fail(self, text: str):
        raise Problem(self.path, self.line, text)

    def run(self, until: str | None = None) -> list:
        depth = 0
        while self.at < len(self.source):
            match = TOKEN.match(self.source, self.at)
            if not match:
                self.fail(f"{self.source[self.at]!r} is no Bicep.")
            kind, value, line = match.lastgroup, match.group(), self.line
            if until and kind == "mark":
                if value == until and depth == 0:
                    break
                depth += (value == "{") - (value == "}")
            self.at = match.end()
            self.line += value.count("\n")
            if kind == "text":
                value = self.text() if value == "'" else [value[3:-3].removeprefix("\n")]
            if kind != "space":
                self.tokens.append((kind, value, line))
        self.tokens.append(("end", "", self.line))
        return self.tokens

    def text(self) -> list:
        parts, run = [], ""
        while True:
            char = self.source[self.at : self.at + 1]
            if char in ("", "\n"):
                self.fail("A string is not closed.")
            self.at += 1
            if char == "'":
                return [*parts, run] if run or not parts else parts
            if char == "\\":
                escape = self.source[self.at : self.at + 1]
                if escape not in ESCAPES:
                    self.fail(f"\\{escape} is no escape.")
                run += ESCAPES[escape]
                self.at += 1
            elif char == "$" and self.source[self.at : self.at + 1] == "{":
                self.at += 1
                inner = Lexer(self.path, self.source)
                inner.at, inner.line = self.at, self.line
                tokens = inner.run(until="}")
                if self.source[inner.at : inner.at + 1] != "}":
                    self.fail("An interpolation is not closed.")
                parser = Parser(self.path, tokens)
                expression = parser.expression()
                parser.expect("end")
                self.at = inner.at + 1
                parts += [run, expression] if run else [expression]
                run = ""
            else:
                run += char


BINARY = [["??"], ["||"], ["&&"], ["==", "!="], ["<", "<=", ">", ">="], ["+", "-"], ["*", "/", "%"]]


class Parser:
    def __init__(self, path: str, tokens: list):
        self.path, self.tokens, self.at = path, tokens, 0

    def fail(self, text: str):
        raise Problem(self.path, self.line, text)

    @property
    def line(self) -> int:
        return self.tokens[self.at][2]

    def peek(self, value: str, ahead: int = 0) -> bool:
        kind, found, _ = self.tokens[min(self.at + ahead, len(self.tokens) - 1)]
        return kind == value or kind in ("mark", "name") and found == value

    def take(self, value: str):
        """The next token's value if it is this, or of this kind."""
        if not self.peek(value):
            return None
        self.at += 1
        return self.tokens[self.at - 1][1] or True

    def expect(self, value: str):
        if not self.peek(value):
            kind, found, _ = self.tokens[self.at]
            self.fail(f"{value} is wanted here, not {found or kind!r}.".replace("'\\n'", "the end of the line"))
        self.at += 1
        return self.tokens[self.at - 1][1]

    def newlines(self):
        while self.take("newline"):
            pass

    def end_of_line(self):
        if not self.peek("end"):
            self.expect("newline")

    # Declarations.

    def file(self) -> File:
        file = File(self.path)
        while True:
            self.newlines()
            if self.peek("end"):
                return file
            decorators = self.decorators()
            line, word = self.line, self.expect("name")
            if word == "targetScope":
                self.expect("=")
                file.scope = self.plain_text()
            elif word == "extension":
                file.extensions.append(self.expect("name"))
            elif word == "param":
                name, kind = self.expect("name"), self.expect("name")
                default = self.expression() if self.take("=") else None
                self.declare(file, file.params, name, Param(line, name, kind, default, decorators))
            elif word == "var":
                name = self.expect("name")
                self.expect("=")
                self.declare(file, file.vars, name, Var(line, name, self.expression()))
            elif word == "output":
                name, kind = self.expect("name"), self.expect("name")
                self.expect("=")
                if name in file.outputs:
                    raise Problem(self.path, line, f"output {name} is there twice.")
                file.outputs[name] = Output(line, name, kind, self.expression())
            elif word == "resource":
                resource = self.resource(line)
                self.declare(file, file.resources, resource.name, resource)
            elif word == "module":
                module = self.module(line)
                self.declare(file, file.modules, module.name, module)
            else:
                self.fail(f"{word} begins no declaration that is known here.")
            self.end_of_line()

    def declare(self, file: File, table: dict, name: str, node: Node):
        if any(name in known for known in (file.params, file.vars, file.resources, file.modules)):
            raise Problem(self.path, node.line, f"{name} is declared twice.")
        table[name] = node

    def decorators(self) -> dict:
        found = {}
        while self.take("@"):
            name = self.expect("name")
            self.expect("(")
            found[name] = self.arguments()
            self.newlines()
        return found

    def plain_text(self) -> str:
        text = self.primary()
        if not isinstance(text, Text) or text.literal() is None:
            self.fail("A plain string is wanted here.")
        return text.literal()

    def resource(self, line: int, outer: Resource | None = None) -> Resource:
        name, kind = self.expect("name"), self.plain_text()
        existing = bool(self.take("existing"))
        self.expect("=")
        condition = self.condition()
        kind, _, version = kind.partition("@")
        if outer:
            kind, version = f"{outer.type}/{kind}", version or outer.version
        resource = Resource(line, name, kind, version, existing, condition, Object(line, []), outer)
        resource.body = self.object(resource)
        return resource

    def module(self, line: int) -> Module:
        name, path = self.expect("name"), self.plain_text()
        self.expect("=")
        return Module(line, name, path, self.condition(), self.object())

    def condition(self) -> Node | None:
        if not self.take("if"):
            return None
        self.expect("(")
        condition = self.expression()
        self.expect(")")
        return condition

    # Expressions.

    def expression(self) -> Node:
        line = self.line
        if self.peek("name") and self.peek("=>", 1):
            parameter = self.expect("name")
            self.expect("=>")
            return Lambda(line, [parameter], self.expression())
        condition = self.binary(0)
        if not self.take("?"):
            return condition
        yes = self.expression()
        self.expect(":")
        return Choice(line, condition, yes, self.expression())

    def binary(self, level: int) -> Node:
        if level == len(BINARY):
            return self.unary()
        left = self.binary(level + 1)
        while operator := next((mark for mark in BINARY[level] if self.peek(mark)), None):
            line = self.line
            self.at += 1
            left = Binary(line, operator, left, self.binary(level + 1))
        return left

    def unary(self) -> Node:
        line = self.line
        for operator in ("!", "-"):
            if self.take(operator):
                return Unary(line, operator, self.unary())
        return self.postfix(self.primary())

    def postfix(self, base: Node) -> Node:
        while True:
            line = self.line
            if self.take("!"):
                base = NotNull(line, base)
            elif self.take("."):
                base = Member(line, base, self.expect("name"))
            elif self.take(".?"):
                base = Member(line, base, self.expect("name"), safe=True)
            elif self.take("::"):
                base = Member(line, base, self.expect("name"), child=True)
            elif self.take("["):
                base = Index(line, base, self.expression())
                self.expect("]")
            else:
                return base

    def primary(self) -> Node:
        line = self.line
        if self.peek("text"):
            return Text(line, self.expect("text"))
        if self.peek("number"):
            return Constant(line, int(self.expect("number")))
        if self.take("("):
            inner = self.expression()
            self.expect(")")
            return inner
        if self.peek("["):
            return self.array()
        if self.peek("{"):
            return self.object()
        name = self.expect("name")
        if name in ("true", "false", "null"):
            return Constant(line, {"true": True, "false": False, "null": None}[name])
        if self.take("("):
            return Call(line, name, self.arguments())
        return Name(line, name)

    def arguments(self) -> list:
        found = []
        self.newlines()
        while not self.take(")"):
            found.append(self.expression())
            self.newlines()
            if not self.peek(")"):
                self.expect(",")
                self.newlines()
        return found

    def array(self) -> Array:
        array = Array(self.line, [])
        self.expect("[")
        self.newlines()
        if self.peek("for"):
            self.fail("Loops are not known here.")
        while not self.take("]"):
            array.items.append(self.expression())
            self.separated("]")
        return array

    def object(self, owner: Resource | None = None) -> Object:
        """`owner` is the resource whose body it is, and which may have resources in it."""
        result = Object(self.line, [])
        self.expect("{")
        self.newlines()
        while not self.take("}"):
            line = self.line
            decorators = self.decorators()
            if owner and self.peek("resource") and self.peek("name", 1):
                self.expect("name")
                result.nested.append(self.resource(line, owner))
            elif decorators:
                self.fail("Only a resource has decorators here.")
            else:
                key = Text(line, self.expect("text")) if self.peek("text") else Text(line, [self.expect("name")])
                if key.literal() is not None and result.get(key.literal()):
                    self.fail(f"{key.literal()} is there twice.")
                self.expect(":")
                result.members.append((key, self.expression()))
            self.separated("}")
        return result

    def separated(self, close: str):
        if self.peek(close):
            return
        if not self.take(","):
            self.expect("newline")
        self.newlines()


def parse(path: str, source: str) -> File:
    """Raises the first `Problem`."""
    return Parser(path, Lexer(path, source).run()).file()
