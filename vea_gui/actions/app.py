"""Actions on the console itself."""

from __future__ import annotations

from vea_gui.action_rows import Action

ROWS = (
    Action("new-window", "&New Window", lambda console, _: console.frame.new_window(), menu="File", shortcut="Ctrl+N"),
    Action(
        "close", "&Close", lambda console, _: console.frame.close_window(), menu="File", shortcut="Ctrl+W", section=900
    ),
    Action("exit", "E&xit", lambda console, _: console.frame.leave(), menu="File", shortcut="Ctrl+Q", section=900),
    Action(
        "search",
        "&Search...",
        lambda console, _: console.frame.search(),
        menu="Tools",
        icon="search",
        shortcut="Ctrl+Shift+F",
    ),
    Action(
        "error-console",
        "&Error Console...",
        lambda console, _: console.frame.error_console(),
        menu="Tools",
        icon="logs",
        shortcut="Ctrl+Shift+E",
    ),
    Action(
        "event-notification",
        "Event &Notification...",
        lambda console, _: console.frame.event_notification(),
        menu="Tools",
        icon="alert",
    ),
    Action(
        "preferences",
        "&Preferences...",
        lambda console, _: console.frame.preferences(),
        menu="Tools",
        shortcut="Ctrl+,",
        section=5,
    ),
    Action(
        "shortcuts", "&Keyboard Shortcuts...", lambda console, _: console.frame.shortcuts(), menu="Help", shortcut="F1"
    ),
    Action("about", "&About...", lambda console, _: console.frame.about(), menu="Help", section=5),
)
