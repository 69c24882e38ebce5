"""The Connections tab of a volume: where it is served, how to use it, and who does."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from engine.records import Ref, Volume
from vea_gui import theme
from vea_gui.client_lines import ClientLine, NotServed, client_lines, nbd_address, not_served, served_at
from vea_gui.console import Console
from vea_gui.mirror import Change
from vea_gui.views.connections_table import ConnectionsTable
from vea_gui.views.copy_field import CopyField


class LinesSection(QWidget):
    """The address and a ready line for each client program."""

    def __init__(self, console: Console, parent: QWidget) -> None:
        super().__init__(parent)
        self.address = CopyField(console, "NBD address", self)
        self.fields: dict[str, CopyField] = {}
        self._console = console
        self.headings = [QLabel("NBD address", self), QLabel("Lines to use it with", self)]
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self._column.addWidget(self.headings[0])
        self._column.addWidget(self.address)
        self._column.addSpacing(8)
        self._column.addWidget(self.headings[1])

    def show_lines(self, address: str, lines: tuple[ClientLine, ...]) -> None:
        """Show these; fields that are there keep their place."""
        self.address.text.show_text(address)
        for line in lines:
            if line.program not in self.fields:
                self._add(line)
            self.fields[line.program].text.show_text(line.text)

    def restyle(self) -> None:
        font = self.font()
        font.setBold(True)
        for heading in self.headings:
            heading.setFont(font)
        for field in (self.address, *self.fields.values()):
            field.text.restyle()

    def _add(self, line: ClientLine) -> None:
        purpose = QLabel(line.purpose, self)
        purpose.setWordWrap(True)
        field = CopyField(self._console, f"line for {line.program}", self)
        purpose.setBuddy(field.text)
        self._column.addWidget(purpose)
        self._column.addWidget(field)
        self.fields[line.program] = field


class WhyNot(QWidget):
    """Why the volume isn't served, what would help, and a button that does it."""

    def __init__(self, console: Console, ref: Ref, parent: QWidget) -> None:
        super().__init__(parent)
        self.console = console
        self.ref = ref
        self.action = ""
        self.why = QLabel(self)
        self.help = QLabel(self)
        self.button = QPushButton(self)
        self.reason = QLabel(self)
        self.button.clicked.connect(lambda: console.trigger(self.action, console.at(self.ref)))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 8)
        layout.setSpacing(8)
        for label in (self.why, self.help, self.reason):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        for widget in (self.why, self.help, self.button, self.reason):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignLeft if widget is self.button else Qt.AlignmentFlag(0))

    def show_reason(self, found: NotServed) -> None:
        """Say it; the action is offered when there is one, with the reason beside it when it can't be done."""
        self.action = found.action
        self.why.setText(found.why)
        self.help.setText(found.remedy)
        self.button.setVisible(bool(found.action))
        reason = ""
        if found.action:
            row = self.console.actions.row(found.action)
            reason = row.reason(self.console.at(self.ref))
            self.button.setText(row.text)
            self.button.setEnabled(not reason)
            self.button.setAccessibleDescription(reason)
        self.reason.setText(reason)
        self.reason.setVisible(bool(reason))


class ConnectionsTab(QWidget):
    """Follows the volume and its clients while it can be seen."""

    def __init__(self, console: Console, ref: Ref) -> None:
        super().__init__()
        self.console = console
        self.ref = ref
        self.area = QScrollArea(self)
        self.body = QWidget(self)
        self.fenced = QLabel(self.body)
        self.why_not = WhyNot(console, ref, self.body)
        self.clients_title = QLabel("Connected now", self.body)
        self.clients = ConnectionsTable(console, ref)
        self.lines = LinesSection(console, self.body)
        self._place()
        self._fill()
        self._restyle()
        console.changed.connect(self._changed)
        theme.signals().changed.connect(self._restyle)

    def set_filter(self, text: str) -> None:
        """Show only clients with these words."""
        self.clients.set_filter(text)

    def release(self) -> None:
        """Keep the table's columns before the page goes."""
        self.clients.release()

    def showEvent(self, event: QShowEvent) -> None:
        self._fill()
        super().showEvent(event)

    def _place(self) -> None:
        self.fenced.setWordWrap(True)
        column = QVBoxLayout(self.body)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(8)
        for widget in (self.fenced, self.why_not, self.clients_title):
            column.addWidget(widget)
        column.addWidget(self.clients)
        column.addWidget(self.lines)
        column.addStretch(1)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(self.body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.area)

    def _fill(self) -> None:
        config, host = self.console.config, self.console.host
        volume = config.get(self.ref)
        if not isinstance(volume, Volume):
            self.lines.hide()
            self.fenced.hide()
            self.why_not.show_reason(NotServed("This volume is not there any more.", ""))
            self.why_not.show()
            return
        place = served_at(config, host, volume)
        found = not_served(config, host, volume)
        if place is not None:
            self.lines.show_lines(nbd_address(*place), client_lines(*place))
        if found is not None:
            self.why_not.show_reason(found)
        self.lines.setVisible(place is not None)
        self.why_not.setVisible(found is not None)
        self.fenced.setText(f"Writes fail until somebody acts: {volume.fenced}" if volume.fenced else "")
        self.fenced.setVisible(bool(volume.fenced))

    def _changed(self, change: Change) -> None:
        if self.isVisible() and (change.reset or change.renamed or self._concerned(change)):
            self._fill()

    def _concerned(self, change: Change) -> bool:
        volume = self.console.config.get(self.ref)
        group = volume.group if isinstance(volume, Volume) else None
        return bool(change.refresh & {self.ref, group, self.console.host})

    def _restyle(self) -> None:
        font = self.font()
        font.setBold(True)
        self.clients_title.setFont(font)
        self.clients.fit()
        self.lines.restyle()
