"""Nonsense on the command line: the status, one clear sentence, nothing changed, and the engine goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli import vxassist, vxdg, vxdisk, vxnotify, vxplex, vxprint, vxsd, vxsnap, vxstat, vxtask, vxtune, vxvol
from engine.cli.forms import Tool
from engine.units import MIB
from tests.engine.cli_lab import Line
from tests.engine.small_host import small_host

MAKE = ["vxassist", "-g", "dg1", "make"]
LONG = "n" * 200

BAD: list[tuple[list[str], int, str]] = [
    # sizes
    ([*MAKE, "v", "banana"], 2, "'banana' is not a size"),
    ([*MAKE, "v", "-5m"], 2, "is not a size"),
    ([*MAKE, "v", "1e9"], 2, "is not a size"),
    ([*MAKE, "v", "٣m"], 2, "is not a size"),
    ([*MAKE, "v", "9" * 40], 2, "is not a size"),
    ([*MAKE, "v", ""], 2, "is not a size"),
    ([*MAKE, "v", "0"], 1, "0 bytes makes no sense"),
    ([*MAKE, "v", "0.0001k"], 1, "0 bytes makes no sense"),
    ([*MAKE, "v", "900t"], 1, "is the most"),
    ([*MAKE, "v", "99999999999t"], 1, "more than any volume can have"),
    (["vxassist", "growto", "ev", "1m"], 1, "Give a larger size, or shrink the volume"),
    (["vxassist", "growby", "ev", "0"], 1, "0 bytes makes no sense"),
    (["vxassist", "growby", "ev", "900t"], 1, "."),
    (["vxsd", "split", "Harddisk0-01", "900t"], 1, "."),
    # names
    ([*MAKE, "", "1m"], 1, "The name is empty"),
    ([*MAKE, LONG, "1m"], 1, "The name has 200 characters"),
    ([*MAKE, "a/b", "1m"], 1, "The name holds “/”"),
    ([*MAKE, "a\nb", "1m"], 1, "a line break"),
    ([*MAKE, "größe", "1m"], 1, "The name holds “ö”"),
    ([*MAKE, ".hidden", "1m"], 1, "The name begins with"),
    ([*MAKE, "ev", "1m"], 1, "There is a volume ev in dg1 already"),
    (["vxdg", "init", "dg1", "Harddisk3"], 1, "There is a group dg1 already"),
    (["vxdg", "init", "", "Harddisk3"], 1, "The name is empty"),
    (["vxdg", "init", LONG, "Harddisk3"], 1, "The name has 200 characters"),
    (["vxdg", "init", "x\x00y", "Harddisk3"], 1, "control character"),
    (["vxdg", "rename", "dg1", "a b"], 1, "a space"),
    (["vxvol", "rename", "ev", "sv"], 1, "already"),
    (["vxplex", "break", "ev-02", "sv"], 1, "already"),
    (["vxplex", "break", "ev-02", ""], 1, "The name is empty"),
    # unknown objects
    (["vxvol", "-g", "dg1", "stop", "evv"], 1, "There is no volume evv in dg1. There is ev and 1 more"),
    (["vxvol", "-g", "dg2", "stop", "ev"], 1, "There is no disk group dg2. There is dg1."),
    (["vxvol", "stop", LONG], 1, "There is no volume nnnn"),
    (["vxvol", "stop", "a\nb"], 1, r"There is no volume 'a\nb'"),
    (["vxdg", "init", "new", "Harddisk33"], 1, "There is no disk Harddisk33. There is Harddisk3"),
    (["vxdg", "deport", "nope"], 1, "There is no disk group nope"),
    (["vxdg", "free", "nope"], 1, "There is no disk group nope"),
    (["vxplex", "rm", "ev-09"], 1, "There is no plex ev-09. There is ev-0"),
    (["vxsd", "mv", "Harddisk0-99", "Harddisk1"], 1, "There is no subdisk Harddisk0-99"),
    (["vxsd", "mv", "Harddisk0-01", "Nodisk"], 1, "There is no disk Nodisk"),
    (["vxtask", "wait", "999999"], 1, "There is no task 999999"),
    (["vxtask", "abort", "x"], 1, "There is no task x"),
    (["vxprint", "nope"], 1, "There is no object nope"),
    (["vxstat", "nope"], 1, "There is no volume or disk nope"),
    ([*MAKE, "v", "1m", "alloc=Harddisk77"], 1, "There is no disk Harddisk77"),
    ([*MAKE, "v", "1m", "alloc=Harddisk11"], 1, "does not belong to dg1"),
    # layouts and numbers
    ([*MAKE, "v", "1m", "layout=round"], 2, "layout=round is none of"),
    ([*MAKE, "v", "1m", "logtype=drl", "layout=raid5"], 1, "Only mirrors have a dirty region log."),
    ([*MAKE, "v", "1m", "logtype=raid5", "layout=mirror"], 1, "Only a RAID-5 volume has a RAID-5 log."),
    ([*MAKE, "v", "1m", "logtype=dco", "layout=mirror"], 2, "is none of drl, raid5, none"),
    ([*MAKE, "v", "1m", "layout=raid5", "columns=2"], 1, "2 columns are not possible for RAID-5."),
    ([*MAKE, "v", "1m", "layout=raid5", "mirror=2"], 1, "A RAID-5 volume has no mirrors."),
    ([*MAKE, "v", "1m", "colums=2"], 2, "but not colums"),
    ([*MAKE, "v", "1m", "layout=stripe", "columns=two"], 2, "columns=two is not a number"),
    ([*MAKE, "v", "1m", "layout=stripe", "columns=0"], 1, "columns=0 makes no sense"),
    ([*MAKE, "v", "1m", "layout=stripe", "columns=1"], 1, "not possible for a striped volume"),
    ([*MAKE, "v", "1m", "layout=stripe", "columns=7"], 1, "7 disks with free space are needed"),
    ([*MAKE, "v", "1m", "columns=3"], 1, "Only a striped volume has columns"),
    ([*MAKE, "v", "1m", "layout=stripe", "stripeunit=5k"], 1, "stripe unit"),
    ([*MAKE, "v", "1m", "layout=stripe", "stripeunit=32m"], 1, "stripe unit"),
    ([*MAKE, "v", "1m", "mirror=0"], 1, "mirror=0 makes no sense"),
    ([*MAKE, "v", "1m", "mirror=33"], 1, "32"),
    ([*MAKE, "v", "1m", "layout=mirror", "layout=stripe"], 2, "layout was given twice"),
    (["vxtask", "set", "1", "iodelay=fast"], 2, "is not a number"),
    (["vxtask", "set", "1"], 2, "iodelay=MS"),
    (["vxtask", "wait"], 2, "Say for what to wait"),
    (["vxtask", "wait", "1", "--all"], 2, "Say for what to wait"),
    (["vxdisk", "set", "Harddisk3", "usage=best"], 2, "usage is one of normal, spare, reserved"),
    (["vxsd", "mv", "Harddisk0-01", "Harddisk1:x"], 2, "is no place"),
    (["vxsd", "mv", "Harddisk0-01", "Harddisk1:0"], 1, "."),
    (["vxsd", "mv", "Harddisk0-01", "Harddisk1:900t"], 1, "."),
    (["vxstat", "-i", "0"], 2, "-i takes a whole number"),
    (["vxsnap", "create", "source=ev"], 2, "-x FILE.xml"),
    (["vxsnap", "-x", "set", "create", "source=ev"], 1, "has no name that ends in .xml"),
    (["vxsnap", "-x", "/nowhere/set.xml", "create", "source=ev"], 1, "There is no folder /nowhere"),
    (["vxsnap", "-x", "set.xml", "create", "ev"], 2, "is no source"),
    (["vxsnap", "-x", "set.xml", "create", "source=ev/letter=J"], 1, "There is no volume"),
    (["vxsnap", "-x", "set.xml", "create", "source=ev", "/Letter=J"], 2, "/Newvol, /Plex"),
    (["vxsnap", "-x", "set.xml", "create", "source=ev", "/DRIVELETTER=55"], 1, "."),
    (["vxsnap", "-x", "set.xml", "create", "source=ev", "/DRIVEPATH=here"], 1, "."),
    (["vxsnap", "-x", "nowhere.xml", "restore"], 1, "can't be read"),
    (["vxtune", "set"], 2, "Say what to set"),
    (["vxtune", "set", "hotrelocation=sometimes"], 2, "automatic, manual"),
    (["vxtune", "set", "backupskept=many"], 2, "is not a number"),
    (["vxtune", "set", "backupskept=0"], 1, "Give 1 to 1000"),
    (["vxtune", "throttle", "naps", "iodelay=5"], 2, "TYPE is all or one of"),
    (["vxtune", "throttle", "resync"], 2, "Say how long"),
    (["vxnotify", "mail", "loud", "a@example.org"], 2, "SEVERITY is one of"),
    (["vxnotify", "mail", "error", "nobody"], 1, "no mail address"),
    (["vxnotify", "run", "error", "page"], 1, "whole path"),
    (["vxnotify", "rm", "1"], 1, "There is no rule 1"),
    (["vxnotify", "test", "x"], 2, "no number of a rule"),
    # wrong usage
    (["vxassist"], 2, "needs to know what to do"),
    (["vxassist", "mak", "v", "1m"], 2, "doesn't know mak. It knows: make"),
    (["vxassist", "make"], 2, "VOLUME is missing"),
    (["vxassist", "make", "v"], 2, "SIZE is missing"),
    (["vxdg", "init", "new"], 2, "DISK is missing"),
    (["vxdg", "deport", "dg1", "dg2"], 2, "dg2 is too much"),
    (["vxdisk", "list", "more"], 2, "more is too much"),
    (["vxdisk", "list", "--jsn"], 2, "has no option --jsn"),
    (["vxdisk", "list", "-f"], 2, "has no option -f"),
    (["vxdisk", "list", "--json=yes"], 2, "takes no value"),
    (["vxassist", "make", "v", "1m", "-g"], 2, "needs a value"),
    (["vxassist", "remove", "ev"], 2, "doesn't know remove"),
    ([*MAKE, "v", "\udcff"], 2, "not valid UTF-8"),
    ([*MAKE, "v", "1m", "--basis", "x"], 2, "no transaction number"),
    # LUNs
    (["vxdisk", "add-lun", "/nowhere/lun.img"], 1, "No such file"),
    (["vxdisk", "add-lun", ""], 1, "The path is empty"),
    (["vxdisk", "add-lun", "/"], 1, "neither an image file nor a block device"),
    (["vxdisk", "add-lun", "/dev/null"], 1, "neither an image file nor a block device"),
    (["vxdisk", "add-lun", "nbd://host/x"], 1, "A LUN over nbd can't be added"),
    # what rules forbid
    (["vxdisk", "rm", "Harddisk0"], 1, "Harddisk0"),
    (["vxdg", "rmdisk", "dg1", "Harddisk0"], 1, "Harddisk0"),
    (["vxdg", "rmdisk", "dg1", "Harddisk11"], 1, "Harddisk11 does not belong to dg1"),
    (["vxdg", "destroy", "dg1"], 1, "dg1 holds 2 volumes: ev"),
    (["vxdg", "import", "dg1"], 1, "dg1"),
    (["vxvol", "start", "ev"], 1, "started already"),
    (["vxplex", "rm", "sv-01"], 1, "."),
    (["vxdisk", "init", "Harddisk0"], 1, "Harddisk0"),
    (["vxdg", "adddisk", "dg1", "Harddisk0"], 1, "Harddisk0"),
    (["vxsd", "join", "Harddisk0-01", "Harddisk0-01"], 1, "."),
]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with small_host(tmp_path_factory.mktemp("bad")) as host:
        yield Line(host.socket)


@pytest.fixture(scope="module")
def known() -> list[tuple[object, object]]:
    """What was listed last, if anything: it need not be asked for again."""
    return []


@pytest.mark.parametrize(("words", "status", "sentence"), BAD, ids=lambda value: ascii(value)[:60])
def test_nonsense_is_one_sentence_and_changes_nothing(
    line: Line, known: list[tuple[object, object]], words: list[str], status: int, sentence: str
) -> None:
    before = known.pop() if known else listing(line)
    answer = line(words)
    assert (answer.status, answer.out) == (status, "")
    assert sentence in answer.err
    assert answer.err.count("\n") == 1
    assert answer.err.endswith((".\n", ". .\n"))
    assert len(answer.err) < 400
    assert not set(answer.err) & set("\x00\x1b\udcff")
    assert "None" not in answer.err
    assert "Traceback" not in answer.err
    known.append(listing(line))
    assert known == [before]


def listing(line: Line) -> tuple[object, object]:
    return line.listed(), line.ask("vxdisk list")


PLANNED = [words for words, status, _ in BAD if status == 1 and words[0] in ("vxassist", "vxdg", "vxvol", "vxplex")]


@pytest.mark.parametrize("words", PLANNED, ids=lambda value: ascii(value)[:60])
def test_a_plan_refuses_in_the_same_words(line: Line, words: list[str]) -> None:
    assert line([*words, "--plan"]).err == line(words).err


def test_options_stand_anywhere(line: Line) -> None:
    words = ["vxassist", "make", "v", "1m"]
    plans = set()
    for place in range(1, len(words) + 1):
        answer = line([*words[:place], "--plan", "-g", "dg1", "--json", "-b", *words[place:]])
        assert answer.status == 0, answer.err
        plans.add(answer.json["title"])
    assert plans == {"Create Volume v in dg1"}


def test_a_file_that_is_too_small_is_no_lun(line: Line, tmp_path: Path) -> None:
    image = tmp_path / "small.img"
    image.write_bytes(b"x" * 4096)
    answer = line(["vxdisk", "add-lun", str(image)])
    assert answer.status == 1
    assert "at least" in answer.err


@pytest.mark.parametrize("signature", ["ext4", "gpt"])
def test_a_lun_with_foreign_data_is_refused_unless_forced(line: Line, tmp_path: Path, signature: str) -> None:
    image = tmp_path / "foreign.img"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
        if signature == "ext4":
            file.seek(0x438)
            file.write(b"\x53\xef")
        else:
            file.seek(510)
            file.write(b"\x55\xaa")
            file.seek(446 + 4)
            file.write(b"\x83\x00\x00\x00\x00\x08\x00\x00\x00\x00\x01\x00")
    assert line(["vxdisk", "add-lun", str(image)]).status == 0
    (disk,) = [disk for disk in line.ask("vxdisk list") if disk["lun"] == str(image)]
    before = image.read_bytes()[: 2 * MIB]
    refused = line(f"vxdg init foreign {disk['name']}")
    if disk["status"] == "Foreign":
        assert refused.status == 1
        assert disk["content"] in refused.err
        assert image.read_bytes()[: 2 * MIB] == before
        assert line(f"vxdg init foreign {disk['name']} -f").status == 0
    else:
        pytest.fail(f"{signature} was not seen: {disk}")
    assert line("vxdg destroy foreign").status == 0
    assert line(f"vxdisk rm {disk['name']}").status == 0


PROGRAMS = (vxassist, vxdg, vxdisk, vxnotify, vxplex, vxprint, vxsd, vxsnap, vxstat, vxtask, vxtune, vxvol)
TOOLS = [each.TOOL for each in PROGRAMS]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_help_needs_no_engine_and_has_examples(tool: Tool, tmp_path: Path) -> None:
    nowhere = Line(tmp_path / "none.sock")
    answer = nowhere([tool.name, "--help"])
    assert answer.status == 0
    assert f"Examples:\n  {tool.name}" in answer.out
    for form in tool.forms:
        assert form.help in answer.out
    first = tool.forms[0].literals
    if first:
        assert tool.forms[-1].help not in nowhere([tool.name, *first, "--help"]).out


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_without_an_engine_the_status_says_so(tool: Tool, tmp_path: Path) -> None:
    form = tool.forms[0]
    words = [tool.name, *form.literals, *("1m" if name == "SIZE" else "x" for name in form.names)]
    answer = Line(tmp_path / "none.sock")(words)
    assert answer.status == 3
    assert "No engine is running" in answer.err
    assert answer.err.count("\n") == 1
