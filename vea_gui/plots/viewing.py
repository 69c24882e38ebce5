"""A tab's hold on the recorder."""

from __future__ import annotations

from engine.records import Ref
from vea_gui.plots.recorder import Recorder


class Viewing:
    """Ends once, whether the page was dropped in order or not."""

    def __init__(self, recorder: Recorder, ref: Ref) -> None:
        self.recorder, self.ref = recorder, ref
        self.ended = False
        self._followed = False

    def follow(self) -> None:
        """Keep the object's figures as long as this lasts."""
        history = self.recorder.history
        if history is not None and not self._followed and not self.ended:
            self._followed = True
            history.follow(self.ref)

    def look(self, looks: bool) -> None:
        """Whether somebody sees the plots now."""
        if looks and not self.ended:
            self.recorder.watch(self)
        else:
            self.recorder.unwatch(self)

    def end(self) -> None:
        if self.ended:
            return
        self.ended = True
        if self._followed and self.recorder.history is not None:
            self.recorder.history.leave(self.ref)
        self.recorder.unwatch(self)
