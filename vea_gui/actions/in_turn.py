"""Several commands that change the same disk group: each is planned against what the one before it has left."""

from __future__ import annotations

from collections.abc import Sequence

from engine.commands import Command
from engine.plans import Plan
from engine.records import Ref
from vea_gui import operations
from vea_gui.console import Console
from vea_gui.views.message import ask


class InTurn:
    """Asks once for all; what is refused on the way is told, and ends it."""

    def __init__(self, console: Console, question: str, verb: str, commands: Sequence[Command]) -> None:
        self.console, self.question, self.verb = console, question, verb
        self.left = list(commands)
        self._plans: list[Plan] = []

    def begin(self) -> None:
        """Plan all as things are now; nothing is done where one is not possible."""
        for command in self.left:
            self.console.plan(command, self._planned)

    def _planned(self, plan: Plan) -> None:
        self._plans.append(plan)
        if len(self._plans) < len(self.left):
            return
        refused = next((plan for plan in self._plans if plan.problems), None)
        if refused is not None:
            self.console.show_error(refused.problems[0].sentences, operations.failure_title(refused.title))
            return
        steps = [step.text for each in self._plans for step in each.steps]
        details = "\n".join(f"{number}  {step}" for number, step in enumerate(steps, 1))
        more = "\n".join(dict.fromkeys(line for each in self._plans for line in each.warnings))
        ask(self.console.window, self.verb, self.question, self.verb, self._next, more, details)

    def _next(self, _: Ref | None = None) -> None:
        if self.left:
            self.console.submit(self.left.pop(0), then=self._next)
