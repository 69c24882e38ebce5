"""The rules of tidiness, one function each: from a source file to its complaints. test_tidy.py applies them."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

LINES_IN_FILE = 500
LINES_IN_FUNCTION = 70
COLUMNS = 120
PRODUCT = ("engine", "vea_gui")


@dataclass(frozen=True)
class Source:
    """One text file of the tree, by its path from the root."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def is_product(self) -> bool:
        return self.path.startswith(tuple(f"{top}/" for top in PRODUCT))

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


Rule = Callable[[Source], Iterator[str]]


def short_file(source: Source) -> Iterator[str]:
    lines = len(source.text.splitlines())
    if lines > LINES_IN_FILE:
        yield f"{source.path}: {lines} lines, at most {LINES_IN_FILE}: it holds more than one noun"


def short_functions(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LINES_IN_FUNCTION:
                yield f"{source.path}:{node.lineno}: {node.name} has {lines} lines, at most {LINES_IN_FUNCTION}"


def short_lines(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if len(line) > COLUMNS:
            yield f"{source.path}:{number}: {len(line)} columns, at most {COLUMNS}"


def dotted(node: ast.expr) -> str:
    """`a.b.c` of such an expression; empty for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


def calls(source: Source) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            yield node, dotted(node.func)


def imports(source: Source) -> Iterator[tuple[int, str]]:
    """Every name that is imported anywhere in the file, also inside functions: `from a import b` gives a and a.b."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def no_print(source: Source) -> Iterator[str]:
    """Libraries answer or log; only programs talk to the terminal."""
    if not source.is_product or "/cli/" in source.path or source.path.endswith("/__main__.py"):
        return
    for call, name in calls(source):
        if name == "print":
            yield f"{source.path}:{call.lineno}: print outside a program"


def no_sleep(source: Source) -> Iterator[str]:
    """Time passes through the runtime alone, so that a simulator can make it jump."""
    if not source.is_product or source.path == "engine/runtime.py":
        return
    bare = any(name == "time.sleep" for _, name in imports(source))
    for call, name in calls(source):
        if name == "time.sleep" or (name == "sleep" and bare):
            yield f"{source.path}:{call.lineno}: sleeps; wait for an event or ask the runtime"


FORBIDDEN_CALLS = ("eval", "exec", "os.system", "os.popen", "builtins.eval", "builtins.exec")
FORBIDDEN_MODULES = ("pickle", "cPickle", "shelve", "marshal", "dill")


def nothing_that_runs_text(source: Source) -> Iterator[str]:
    """No data becomes code: neither by unpickling, nor by evaluation, nor by a shell."""
    for line, name in imports(source):
        if name.split(".")[0] in FORBIDDEN_MODULES:
            yield f"{source.path}:{line}: imports {name}"
    for call, name in calls(source):
        if name in FORBIDDEN_CALLS:
            yield f"{source.path}:{call.lineno}: calls {name}"
        for keyword in call.keywords:
            if keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value):
                yield f"{source.path}:{call.lineno}: runs a shell"


UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
ELSEWHERE = re.compile(
    r"(?<![\w.])/wor"
    + r"k/\w|/tmp/(ven"
    + r"v|tea"
    + r"m)\b|py"
    + r"pi\.org|python"
    + r"hosted\.org|npm"
    + r"js\.(com|org)"
)


def nothing_unfinished(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := UNFINISHED.search(line):
            yield f"{source.path}:{number}: {found.group()}: finish it, or say plainly in the docs what is missing"


def no_place_of_one_machine(source: Source) -> Iterator[str]:
    """Neither a folder that only one machine has, nor the host of a package registry."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := ELSEWHERE.search(line):
            yield f"{source.path}:{number}: names {found.group()}"


PYTHON_RULES: tuple[Rule, ...] = (short_functions, short_lines, no_print, no_sleep, nothing_that_runs_text)
TEXT_RULES: tuple[Rule, ...] = (short_file, nothing_unfinished, no_place_of_one_machine)


def entry_points(root: Path) -> set[str]:
    """Modules that something outside Python starts."""
    scripts = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]
    return {target.partition(":")[0] for target in scripts.values()}


def named_modules(source: Source, known: set[str]) -> set[str]:
    """Modules of ours that the file imports, or names in full as a text (tables that import on demand do so)."""
    texts = (
        node.value for node in ast.walk(source.tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return known & {*(name for _, name in imports(source)), *texts}


def unreachable(sources: list[Source], roots: set[str]) -> set[str]:
    """Product modules to which no chain of imports leads from the roots. With a module, its package is reached."""
    by_module = {source.module: source for source in sources if source.is_product}
    known = set(by_module)
    waiting = [name for name in known if name in roots or name.endswith(".__main__")]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        waiting += named_modules(by_module[name], known)
        waiting += [name.rpartition(".")[0]] if name.rpartition(".")[0] in known else []
    return known - reached
