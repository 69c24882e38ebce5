"""vea-lab: makes labs of image files, runs an engine on them, and plays faults."""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.cli import output
from engine.cli.common import DONE, HELP, JSON, NO_ENGINE, REFUSED, SOCKET, WRONG_USAGE, read, size, system_sentence
from engine.cli.forms import Form, Option, Tool, Usage, Words, shown
from engine.cli.lab_faults import FAULTS
from engine.cli.vxsvc import SERVING
from engine.errors import EngineError
from engine.lab import Lab, create_lab, open_lab
from engine.remote.client import RemoteEngine
from engine.remote.place import control_socket
from engine.units import format_size

_STATE, _NBD = (option for option in SERVING if option.flag in ("--state", "--nbd"))
_END_PATIENCE_S = 60
_LOG = "engine.log"


def _create(words: Words) -> int:
    lab = Lab(
        arrays=_number(words, "--arrays", 2),
        luns=_number(words, "--luns", 6),
        lun_size=size(words.option("--lun-size", "2g")),
        ports=_number(words, "--ports", 1),
    )
    folder = Path(words["DIR"])
    create_lab(folder, lab)
    output.write(f"{folder}: {lab.arrays * lab.luns} LUNs of {format_size(lab.lun_size)} in {lab.arrays} enclosures.")
    return DONE


def _number(words: Words, flag: str, otherwise: int) -> int:
    text = words.option(flag, str(otherwise))
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise Usage(f"{flag} takes a whole number: {flag} {otherwise}.")
    return int(text)


def _lab(words: Words) -> tuple[Path, Lab]:
    folder = Path(words["DIR"])
    lab = open_lab(folder)
    if lab is None:
        raise EngineError(f"There is no lab in {folder}. Make one with: vea-lab create {folder}.")
    return folder, lab


def _start(words: Words) -> int:
    """An engine in the background that outlives this program."""
    folder, _ = _lab(words)
    given = [
        word for flag in ("--state", "--socket", "--nbd") if words.has(flag) for word in (flag, words.option(flag))
    ]
    log = folder / _LOG
    with log.open("ab") as errors:
        begin = errors.tell()
        engine = subprocess.Popen(
            [sys.executable, "-m", "engine.cli.vxsvc", "--lab", str(folder), *given],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            text=True,
        )
    assert engine.stdout is not None
    with engine.stdout as out:
        ready = out.readline().strip() == "ready"
    if not ready:
        engine.wait()
        raise EngineError(log.read_bytes()[begin:].decode(errors="replace") or "The engine ended before it was ready.")
    output.write(f"The engine serves {folder} as process {engine.pid}. Stop it with: {_stop_words(words)}")
    engine.returncode = 0  # it goes on without us: nobody waits for it here
    return DONE


def _stop_words(words: Words) -> str:
    """What ends this very engine, ready for a shell."""
    given = ["--socket", words.option("--socket")] if words.has("--socket") else []
    return shlex.join(["vea-lab", "stop", words["DIR"], *given])


def _stop(words: Words) -> int:
    """Ask the engine that serves the socket to end, and wait until it has."""
    folder, lab = _lab(words)
    engine = RemoteEngine.connect(control_socket(words.options.get("--socket")))
    if engine is None:
        output.complain(f"No engine is running for {folder}. vea-lab start {folder} starts one.")
        return NO_ENGINE
    try:
        if not _serves(engine, folder, lab):
            raise EngineError(f"The engine there does not serve {folder}. Name its control socket with --socket.")
        process = os.pidfd_open(engine.process_id)
    finally:
        engine.close()
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], _END_PATIENCE_S)[0]:
            raise EngineError(f"The engine has not ended within {_END_PATIENCE_S} seconds. Ask again later.")
    finally:
        os.close(process)
    output.write("The engine has ended.")
    return DONE


def _serves(engine: RemoteEngine, folder: Path, lab: Lab) -> bool:
    from engine.records import Disk

    paths = {path for path, _ in lab.paths(folder)}
    records = engine.attach(lambda _: None).records
    return any(isinstance(record, Disk) and record.lun in paths for record in records)


def _status(words: Words) -> int:
    folder, lab = _lab(words)
    engine = RemoteEngine.connect(control_socket(words.options.get("--socket")))
    process: int | None = None
    if engine is not None:
        process = engine.process_id if _serves(engine, folder, lab) else None
        engine.close()
    luns = [_lun_row(path, enclosure) for path, enclosure in lab.paths(folder)]
    if words.has("--json"):
        row = {"folder": str(folder.resolve()), "running": process is not None, "process_id": process}
        output.write_json({**row, "ports": lab.ports, "luns": luns})
        return DONE
    output.write(f"{folder}: " + (f"served by process {process}" if process else "no engine is running"))
    cells = [
        (
            str(lun["enclosure"]),
            str(lun["name"]),
            format_size(int(lun["size"])) if lun["present"] else "gone",
            format_size(int(lun["allocated"])),
        )
        for lun in luns
    ]
    output.write(output.table(("ENCLOSURE", "LUN", "SIZE", "ON DISK"), cells, right=("SIZE", "ON DISK")))
    return DONE


def _lun_row(path: str, enclosure: str) -> dict[str, str | int | bool]:
    """One LUN with the bytes that its file really takes."""
    row: dict[str, str | int | bool] = {"name": Path(path).stem, "path": path, "enclosure": enclosure}
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return {**row, "present": False, "size": 0, "allocated": 0}
    return {**row, "present": True, "size": status.st_size, "allocated": status.st_blocks * 512}


def _fault(words: Words) -> int:
    folder, lab = _lab(words)
    wanted = words["LUN"]
    luns = {f"{enclosure}/{Path(path).stem}": Path(path) for path, enclosure in lab.paths(folder)}
    lun = luns.get(wanted) or next((path for path in luns.values() if str(path) == os.path.abspath(wanted)), None)
    if lun is None:
        raise EngineError(
            f"There is no LUN {shown(wanted)} in {folder}. There is {', '.join(list(luns)[:4])} and so on."
        )
    kind = words["WHAT"]
    if kind not in FAULTS:
        raise Usage(f"{shown(kind)} is none of {', '.join(FAULTS)}.")
    given = words.many("SIZE")
    output.write(FAULTS[kind](lun, size(given[0]) if given else 0))
    return DONE


TOOL = Tool(
    "vea-lab",
    "Makes labs of image files, runs an engine on them, and plays faults.",
    (
        Form(
            "create DIR",
            "Make a lab in a new folder.",
            _create,
            options=(
                Option("--arrays", "Enclosures (2).", takes="N"),
                Option("--luns", "LUNs in each enclosure (6).", takes="N"),
                Option("--lun-size", "Size of each LUN (2g).", takes="SIZE"),
                Option("--ports", "Ports of each array (1).", takes="N"),
            ),
            examples=("vea-lab create ~/lab", "vea-lab create ~/big --arrays 4 --luns 50 --lun-size 64m"),
        ),
        Form("start DIR", "Run an engine on a lab, in the background.", _start, options=(_STATE, _NBD)),
        Form("stop DIR", "End the engine that serves a lab.", _stop),
        Form(
            "status DIR",
            "What the lab has, and whether it is served.",
            _status,
            examples=("vea-lab status ~/lab --json",),
        ),
        Form(
            "fault DIR LUN WHAT [SIZE]",
            "Harm a LUN as the world does: WHAT is vanish, return, resize or damage.",
            _fault,
            examples=("vea-lab fault ~/lab lab0/lun03 vanish", "vea-lab fault ~/lab lab1/lun00 resize 1g"),
        ),
    ),
    (JSON, SOCKET, HELP),
)


def lab(arguments: Sequence[str]) -> int:
    """From words to exit status."""
    output.patient()
    try:
        words = read(TOOL, arguments)
        return DONE if words is None else words.form.run(words)
    except Usage as error:
        output.complain(str(error))
        return WRONG_USAGE
    except EngineError as error:
        output.complain(str(error))
        return REFUSED
    except OSError as error:
        output.complain(system_sentence(error))
        return REFUSED


def main() -> None:
    sys.exit(lab(sys.argv[1:]))


if __name__ == "__main__":
    main()
