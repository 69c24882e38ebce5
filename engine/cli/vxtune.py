"""vxtune: what is set for the host."""

from __future__ import annotations

import enum
import sys
from typing import TYPE_CHECKING, Any

from engine.cli import output
from engine.cli.common import COMMON, number, run
from engine.cli.forms import Form, Tool, Usage, Words, shown
from engine.errors import EngineError

if TYPE_CHECKING:
    from engine.cli.session import Session
    from engine.records import Settings, TaskType

_NUMBERS = {
    "relocationwait": "relocation_wait_s",
    "monitoringinterval": "monitoring_interval_s",
    "backupskept": "backups_kept",
    "mailport": "mail_port",
}
_WORDS = {
    "mailserver": "mail_server",
    "mailfrom": "mail_from",
    "mailuser": "mail_user",
    "mailpasswordfile": "mail_password_file",
}
_MODE = "hotrelocation"
_SECURITY = "mailsecurity"
_TAKES = {
    _MODE: "automatic|manual",
    "relocationwait": "SECONDS",
    "monitoringinterval": "SECONDS",
    "backupskept": "NUMBER",
    "mailserver": "HOST",
    "mailport": "PORT",
    "mailfrom": "ADDRESS",
    _SECURITY: "none|starttls|tls",
    "mailuser": "NAME",
    "mailpasswordfile": "PATH",
}


def settings_of(session: Session) -> Settings:
    """The host's settings; an EngineError while the engine does not know them."""
    settings = session.config.settings
    if settings is None:
        raise EngineError("This host's settings are not known yet. Try again in a moment.")
    return settings


def _throttled() -> dict[str, TaskType]:
    """Types of tasks that can rest, by the name of their setting."""
    from engine.records import TaskType

    return {kind.name.lower(): kind for kind in TaskType if kind not in (TaskType.COMMAND, TaskType.RESCAN)}


def _list(session: Session, words: Words) -> int:
    settings = settings_of(session)
    delays = {name: settings.delay_of(kind) for name, kind in _throttled().items()}
    row: dict[str, Any] = {"hot_relocation": str(settings.hot_relocation)}
    row |= {field: getattr(settings, field) for field in (*_NUMBERS.values(), *_WORDS.values())}
    row["mail_security"] = str(settings.mail_security)
    if session.json:
        output.write_json(row | {"iodelay_ms": delays})
        return 0
    told = [(_MODE, row["hot_relocation"])]
    told += [(key, str(row[field]) or "-") for key, field in (*_NUMBERS.items(), *_WORDS.items())]
    told.append((_SECURITY, row["mail_security"]))
    told += [(f"iodelay {name}", str(delay)) for name, delay in delays.items()]
    output.write(output.table(("SETTING", "VALUE"), told))
    return 0


def _set(session: Session, words: Words) -> int:
    from engine.commands import ChangeSettings
    from engine.records import MailSecurity, RelocationMode

    given: dict[str, Any] = {field: number(words, key, 0) for key, field in _NUMBERS.items() if key in words.settings}
    given |= {field: words.settings[key] for key, field in _WORDS.items() if key in words.settings}
    for key, field, values in ((_MODE, "hot_relocation", RelocationMode), (_SECURITY, "mail_security", MailSecurity)):
        if key in words.settings:
            given[field] = _one_of(values, key, words.settings[key])
    if not given:
        raise Usage("Say what to set: vxtune set hotrelocation=manual, for example.")
    return session.carry_out(ChangeSettings(**given))


def _one_of(values: type[enum.StrEnum], key: str, text: str) -> enum.StrEnum:
    if text not in list(values):
        raise Usage(f"{key} is one of {', '.join(values)}, not {shown(text)}.")
    return values(text)


def _throttle(session: Session, words: Words) -> int:
    from engine.commands import ChangeSettings
    from engine.records import TaskDelay

    names, typed = _throttled(), words["TYPE"]
    if typed != "all" and typed not in names:
        raise Usage(f"TYPE is all or one of {', '.join(names)}, not {shown(typed)}.")
    if "iodelay" not in words.settings:
        raise Usage("Say how long: vxtune throttle resync iodelay=20.")
    rest, settings = number(words, "iodelay", 0), settings_of(session)
    chosen = {kind: rest if typed in ("all", name) else settings.delay_of(kind) for name, kind in names.items()}
    delays = tuple(TaskDelay(kind, delay) for kind, delay in chosen.items() if delay)
    return session.carry_out(ChangeSettings(iodelay_ms=delays))


TOOL = Tool(
    "vxtune",
    "What is set for the host. It holds for what begins from then on.",
    (
        Form("list", "List all settings.", _list, examples=("vxtune list --json",)),
        Form(
            "set",
            "Hot relocation, monitoring interval, configuration backups, mail server.",
            _set,
            settings=_TAKES,
            examples=(
                "vxtune set hotrelocation=manual",
                "vxtune set mailserver=mail.example.org mailport=587 mailsecurity=starttls",
            ),
        ),
        Form(
            "throttle TYPE",
            "How long new tasks of a type (or all) rest after each mebibyte, in milliseconds.",
            _throttle,
            settings={"iodelay": "MS"},
            examples=("vxtune throttle resync iodelay=20", "vxtune throttle all iodelay=0"),
        ),
    ),
    COMMON,
)


def main() -> None:
    sys.exit(run(TOOL))


if __name__ == "__main__":
    main()
