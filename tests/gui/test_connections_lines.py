"""Ready lines for clients: taken apart again by a shell's rules, and by the programs that they are for."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import socket
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Config, Edit
from engine.records import GroupState, Kind, Plex, PlexState, Record, Volume
from tests.gui import sample_lab
from vea_gui.client_lines import client_lines, nbd_address, not_served, served_at

NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,30}", fullmatch=True)
PATHS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=60)


@given(group=NAMES, volume=NAMES, path=PATHS)
def test_an_address_comes_apart_into_what_it_was_made_of(group: str, volume: str, path: str) -> None:
    parts = urlsplit(nbd_address(group, volume, f"/{path}"))
    assert parts.scheme == "nbd+unix"
    assert unquote(parts.path) == f"/{group}/{volume}"
    assert not parts.fragment
    assert parse_qs(parts.query, strict_parsing=True) == {"socket": [f"/{path}"]}


@given(group=NAMES, volume=NAMES, path=PATHS)
def test_a_shell_gives_each_program_the_whole_address(group: str, volume: str, path: str) -> None:
    address = nbd_address(group, volume, f"/{path}")
    words = {line.program: shlex.split(line.text) for line in client_lines(group, volume, f"/{path}")}
    assert words["QEMU"] == ["-drive", f"file={address},format=raw,if=virtio,cache=none"]
    assert words["QEMU"][1].count(",") == 3, "a comma in the path would end QEMU's option"
    assert words["nbdcopy"] == ["nbdcopy", address, f"./{volume}.img"]
    assert words["nbdfuse"][-2:] == [address, "&"]
    shown = words["nbdfuse"][-3]
    assert words["mount"][:-1] == ["mount", "-o", "loop", shown]
    assert words["nbdfuse"][2:4] == [str(Path(shown).parent), words["mount"][-1]]
    assert words["umount"][1] == words["mount"][-1]
    assert words["umount"][-1] == str(Path(shown).parent)


@pytest.mark.skipif(not (shutil.which("qemu-img") and shutil.which("nbdkit")), reason="needs qemu-utils and nbdkit")
def test_real_programs_find_the_volume_behind_a_strange_path(tmp_path: Path) -> None:
    folder = tmp_path / "a b,c&d'e%f#g"
    folder.mkdir()
    listening = socket.socket(socket.AF_UNIX)
    with contextlib.closing(listening):
        path = str(folder / "nbd=1.é")
        listening.bind(path)
        listening.listen()
        image = tmp_path / "image"
        image.write_bytes(b"VEA" * (1 << 18))
        command = ["nbdkit", "--exit-with-parent", "-f", "-e", "dg1/ev", "file", str(image)]
        environment = {"LISTEN_FDS": "1", "PATH": "/usr/bin:/bin:/usr/sbin"}
        script = f'exec 3<&{listening.fileno()}; LISTEN_PID=$$ exec "$@"'
        server = subprocess.Popen(
            ["bash", "-c", script, "bash", *command], pass_fds=[listening.fileno()], env=environment
        )
        try:
            for line in client_lines("dg1", "ev", path):
                if line.program in ("qemu-img", "nbdcopy") and shutil.which(line.program):
                    subprocess.run(["sh", "-c", line.text], cwd=tmp_path, check=True, timeout=240, capture_output=True)
        finally:
            server.terminate()
            server.wait(60)
    if shutil.which("nbdcopy"):
        assert (tmp_path / "ev.img").read_bytes() == image.read_bytes()


# --- served or not ---
EV = sample_lab.ref(Kind.VOLUME, 1)


def lab(*changed: Record) -> Config:
    edit = Edit(Config.of(sample_lab.records()))
    edit.put(msgspec.structs.replace(sample_lab.host(), nbd_socket="/run/vea/nbd.sock"))
    for record in changed:
        edit.put(record)
    return edit.result()[0]


def ev(**fields: object) -> Volume:
    return msgspec.structs.replace(Config.of(sample_lab.records()).volume(EV), **fields)


def bad_plexes() -> list[Plex]:
    plexes = Config.of(sample_lab.records()).plexes_of(EV)
    return [msgspec.structs.replace(plex, state=PlexState.IOFAIL) for plex in plexes]


def deported() -> Record:
    group = Config.of(sample_lab.records()).group(sample_lab.GROUP)
    return msgspec.structs.replace(group, state=GroupState.FOREIGN, owner="elsewhere")


def silent_host() -> Record:
    return sample_lab.host()


REASONS = [
    ([ev(started=False)], "stopped", "start-volume"),
    ([ev(size=0)], "being prepared", ""),
    (bad_plexes(), "no complete copy", "rescan"),
    ([deported()], "Host elsewhere has it", ""),
    ([silent_host()], "without an NBD socket", ""),
]


@pytest.mark.parametrize(("changed", "words", "action"), REASONS)
def test_why_a_volume_is_not_served(changed: list[Record], words: str, action: str) -> None:
    config = lab(*changed)
    found = not_served(config, sample_lab.HOST, config.volume(EV))
    assert found is not None
    assert words in found.why
    assert found.remedy
    assert found.action == action
    assert served_at(config, sample_lab.HOST, config.volume(EV)) is None


def test_a_served_volume_has_a_place() -> None:
    config = lab()
    assert config.volume(EV).serving
    assert served_at(config, sample_lab.HOST, config.volume(EV)) == ("dg1", "ev", "/run/vea/nbd.sock")
