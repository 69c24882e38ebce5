"""The tree keeps its own rules, and each rule of tidy.py is shown to catch what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tidy
from tests.tidy import Source

ROOT = Path(__file__).parents[1]
FOLDERS = ("engine", "vea_gui", "tests", "docs", "resources", ".ci")
TEXTS = (".py", ".md", ".toml", ".sh", ".xml", ".xsd", ".desktop", "")
SINGLE = ("pyproject.toml", "Makefile", "README.md")

REFERENCE_STACK = {"slice", "spread", "concat", "stripe", "mirror", "memory"}
TEST_LAYERS = {"wrapper", "counted", "delayed", "faulty"}
FOR_TESTS_AND_LABS = frozenset(f"engine.devices.{name}" for name in REFERENCE_STACK | TEST_LAYERS)
"""What the product ships for those who test on it: the plain layers that the flat table is held against, and those that
fail, wait and count. No entry point needs them."""


def read_tree() -> list[Source]:
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
    files = [path for path in files if path.suffix in TEXTS and "__pycache__" not in path.parts]
    files += [ROOT / name for name in SINGLE if (ROOT / name).exists()]
    return [Source(path.relative_to(ROOT).as_posix(), path.read_text()) for path in files]


TREE = read_tree()
PYTHON = [source for source in TREE if source.path.endswith(".py")]


@pytest.mark.parametrize("rule", tidy.PYTHON_RULES, ids=lambda rule: rule.__name__)
def test_python_rule(rule: tidy.Rule) -> None:
    assert PYTHON
    complaints = [complaint for source in PYTHON for complaint in rule(source)]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("rule", tidy.TEXT_RULES, ids=lambda rule: rule.__name__)
def test_text_rule(rule: tidy.Rule) -> None:
    sources = PYTHON if rule is tidy.short_file else TREE
    complaints = [complaint for source in sources for complaint in rule(source)]
    assert not complaints, "\n".join(complaints)


def test_every_module_is_reached_from_an_entry_point() -> None:
    left = tidy.unreachable(PYTHON, tidy.entry_points(ROOT)) - FOR_TESTS_AND_LABS
    assert not left, "nothing leads to:\n" + "\n".join(sorted(left))


def test_every_entry_point_exists() -> None:
    modules = {source.module for source in PYTHON}
    assert sorted(tidy.entry_points(ROOT) - modules) == []


PLANTED = [
    (tidy.short_file, "engine/x.py", "a = 1\n" * 501),
    (tidy.short_functions, "tests/x.py", "def f():\n" + "    pass\n" * 70),
    (tidy.short_functions, "tests/x.py", "class C:\n    async def f(self):\n" + "        pass\n" * 70),
    (tidy.short_lines, "tests/x.py", "#" * 121),
    (tidy.no_print, "engine/x.py", "print('x')"),
    (tidy.no_print, "vea_gui/views/x.py", "def f():\n    print()"),
    (tidy.no_sleep, "engine/tasks/x.py", "import time\ntime.sleep(1)"),
    (tidy.no_sleep, "vea_gui/x.py", "from time import sleep\nsleep(1)"),
    (tidy.nothing_that_runs_text, "engine/x.py", "import pickle"),
    (tidy.nothing_that_runs_text, "engine/x.py", "def f():\n    from pickle import loads"),
    (tidy.nothing_that_runs_text, "tests/x.py", "eval('1')"),
    (tidy.nothing_that_runs_text, "tests/x.py", "exec('1')"),
    (tidy.nothing_that_runs_text, "tests/x.py", "import subprocess\nsubprocess.run('ls', shell=True)"),
    (tidy.nothing_unfinished, "docs/x.md", "TO" + "DO: later"),
    (tidy.nothing_unfinished, "engine/x.py", "# FIX" + "ME"),
    (tidy.no_place_of_one_machine, "docs/x.md", "see /wor" + "k/main"),
    (tidy.no_place_of_one_machine, ".ci/x", "https://py" + "pi.org/simple"),
]


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED)
def test_rule_catches(rule: tidy.Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text)))


FINE = [
    (tidy.short_file, "engine/x.py", "a = 1\n" * 500),
    (tidy.short_functions, "tests/x.py", "def f():\n" + "    pass\n" * 69),
    (tidy.no_print, "engine/cli/x.py", "print('x')"),
    (tidy.no_print, "vea_gui/__main__.py", "print('x')"),
    (tidy.no_sleep, "engine/runtime.py", "import time\ntime.sleep(1)"),
    (tidy.no_sleep, "engine/x.py", "def f(runtime):\n    runtime.sleep(1)"),
    (tidy.nothing_that_runs_text, "engine/x.py", "import subprocess\nsubprocess.run(['ls'], shell=False)"),
    (tidy.nothing_that_runs_text, "vea_gui/x.py", "def f(dialog):\n    dialog.exec()"),
    (tidy.no_place_of_one_machine, "docs/x.md", "home/work/x and network/x"),
]


@pytest.mark.parametrize(("rule", "path", "text"), FINE)
def test_rule_lets_pass(rule: tidy.Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []


def test_unreached_module_is_found() -> None:
    sources = [
        Source("engine/__init__.py", ""),
        Source("engine/cli/__init__.py", ""),
        Source("engine/cli/tool.py", "def main():\n    from engine import used"),
        Source("engine/used.py", "TABLE = {'late': 'engine.late'}"),
        Source("engine/late.py", ""),
        Source("engine/dead.py", "import engine.dead_too"),
        Source("engine/dead_too.py", "import engine.dead"),
        Source("tests/test_dead.py", "import engine.dead"),
    ]
    assert tidy.unreachable(sources, {"engine.cli.tool"}) == {"engine.dead", "engine.dead_too"}
