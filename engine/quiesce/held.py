"""One thing that is kept still, as the engine sees it: a process that keeps it so and lets it go in any case."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from engine.quiesce import keeper
from engine.records import Consistency

if TYPE_CHECKING:
    from engine.runtime import Runtime

_LINE_MAX = 1 << 14
_LEVELS = {keeper.APPLICATION: Consistency.APPLICATION, keeper.FILE_SYSTEM: Consistency.FILE_SYSTEM}


class Held:
    """Begins when it is made: `by` and `words` are those of `keeper.main`. EngineError is for whoever waits.

    `level` is what it gives once it is still. `problem` says why it never was, or could not be let go; `lost` why it
    was not still any more when it was let go.
    """

    def __init__(self, runtime: Runtime, by: str, words: tuple[str, ...], limit_s: float, longest_s: float) -> None:
        self._runtime = runtime
        self._changed = runtime.condition()
        self.level: Consistency | None = None
        self.problem = ""
        self.lost = ""
        self.thawed_at: float | None = None
        self.lasted_s = 0.0
        self.half = False  # it was never still as a whole, and had to be let go nevertheless
        self.over = False
        self._begin("keep", by, words, limit_s, longest_s)

    @classmethod
    def only_thaw(cls, runtime: Runtime, by: str, words: tuple[str, ...]) -> Held:
        """Lets go what somebody else has left still."""
        made = cls.__new__(cls)
        made._runtime, made._changed = runtime, runtime.condition()
        made.level, made.problem, made.lost, made.half, made.over = None, "", "", True, False
        made.thawed_at, made.lasted_s = None, 0.0
        made._begin("thaw", by, words, 0.0, 0.0)
        return made

    def _begin(self, verb: str, by: str, words: tuple[str, ...], limit_s: float, longest_s: float) -> None:
        """The process is started by the thread that listens to it: where none is to be had, nothing has begun."""
        command = [sys.executable, "-I", keeper.__file__, verb, by, str(limit_s), str(longest_s), *words]
        self._process: subprocess.Popen[bytes] | None = None
        self._let_go = False
        try:
            self._runtime.thread(f"quiesce {by}", lambda: self._run(command))
        except RuntimeError as error:
            self.problem, self.over = f"no thread could be had for it ({error})", True

    def await_still(self, until: float) -> bool:
        """Whether it is still before a moment; it is let go when that passes."""
        with self._changed:
            self._changed.wait_for(self._is_decided, max(0.0, until - self._runtime.now()))
            if self.level is None and not self.problem:
                self.problem = "it was not still in time"
        if self.level is None:
            self.let_go()
        return self.level is not None

    def let_go(self) -> None:
        """It is thawed now, or as soon as the freeze that is under way ends. Returns at once; may be called again."""
        with self._changed:
            self._let_go = True
            self._hang_up()
            self._changed.notify_all()

    def _hang_up(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def await_over(self, until: float) -> bool:
        """Whether its process has ended before a moment."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: self.over, max(0.0, until - self._runtime.now())))

    @property
    def is_free(self) -> bool:
        """Whether nothing of it is still, once it is over."""
        return self.thawed_at is not None or (self.level is None and not self.half)

    def _is_decided(self) -> bool:
        return self.over or self._let_go or self.level is not None or bool(self.problem)

    def _run(self, command: list[str]) -> None:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", start_new_session=True
            )
        except (OSError, ValueError) as error:
            self._end(f"no program could be started for it ({error})")
            return
        with self._changed:
            self._process = process
            if self._let_go:
                self._hang_up()
        assert process.stdout is not None
        with process.stdout as lines:
            while line := lines.readline(_LINE_MAX):
                self._take(line)
        process.wait()
        self._end("")

    def _end(self, problem: str) -> None:
        with self._changed:
            self._hang_up()
            self.over = True
            if self.level is None and not self.problem and self.thawed_at is None:
                self.problem, self.half = problem or "its program ended", not problem
            self._changed.notify_all()

    def _take(self, line: bytes) -> None:
        try:
            told: dict[str, Any] = json.loads(line)
        except ValueError:
            return
        with self._changed:
            match told.get("said"):
                case "frozen" if self.problem:  # too late: it has been told to let go
                    self.half = True
                case "frozen":
                    self.level = _LEVELS[told["level"]]
                case "failed":
                    self.problem = self.problem or str(told["why"])
                    self.half = bool(told["half"])
                case "stuck":
                    self.problem, self.half = str(told["why"]), True
                case "thawed":
                    self.thawed_at, self.lasted_s, self.lost = told["at"], told["lasted"], told["lost"]
            self._changed.notify_all()
