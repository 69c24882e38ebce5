"""The operator's guide names every sub-command that there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli import vxassist, vxdg, vxdisk, vxnotify, vxplex, vxsd, vxtask, vxtune, vxvol
from engine.cli.forms import Tool

GUIDE = Path(__file__).parents[2] / "docs/operators-guide.md"
TOOLS = [module.TOOL for module in (vxassist, vxdg, vxdisk, vxnotify, vxplex, vxsd, vxtask, vxtune, vxvol)]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_each_sub_command_is_in_the_table(tool: Tool) -> None:
    lines = GUIDE.read_text().splitlines()
    row = next(line for line in lines if line.startswith(f"| `{tool.name}"))
    for form in tool.forms:
        verb = " ".join(form.literals)
        assert f"`{verb}" in row, f"{tool.name} {verb}"
