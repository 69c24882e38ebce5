"""vxsnap schedule: typed, listed, run, refused."""

from __future__ import annotations

import pytest

from engine.host import OpenedHost
from tests.engine.cli_lab import Line, line_with_volumes
from tests.engine.small_host import host_fixture

host = host_fixture()


@pytest.fixture
def line(host: OpenedHost) -> Line:
    return line_with_volumes(host.socket, prepared=False)


def test_from_its_first_word_to_its_end(line: Line) -> None:
    added = line("vxsnap -g t schedule add nightly v w times=02:00,14:30 weekdays=mon-fri days=last keep=2 way=new")
    assert (added.status, added.err) == (0, "")
    (row,) = line.ask("vxsnap schedule list")
    assert (row["name"], row["volumes"], row["times"]) == ("nightly", ["v", "w"], ["02:00", "14:30"])
    assert (row["days"], row["keep"], row["way"], row["results"]) == (["last"], 2, "new", [])
    refused = line("vxsnap schedule run nightly")
    assert (refused.status, "are not prepared" in refused.err) == (1, True)
    assert row["quiesce"] == "auto"
    line.do("vxsnap schedule change nightly prepare=yes enabled=no zone=Europe/Berlin quiesce=None")
    (row,) = line.ask("vxsnap schedule list")
    assert row["quiesce"] == "none"
    ran = line("vxsnap schedule run nightly")
    assert (ran.status, ran.err) == (0, "")
    (row,) = line.ask("vxsnap schedule list")
    assert [one["name"] for one in row["sets"]] == [ran.out.split()[-1].rstrip(".")]
    assert row["results"][0]["outcome"] == "Completed"
    assert "disabled" in line("vxsnap schedule list").out
    assert line("vxsnap schedule remove nightly").status == 0
    assert line.ask("vxsnap schedule list") == []


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("schedule add x v", 2, "times=02:00"),
        ("schedule add x v times=25:00", 2, "A day ends at 23:59"),
        ("schedule add x v times=02:00 weekdays=someday", 2, "is no weekday"),
        ("schedule add x v times=02:00 way=other", 2, "way=refresh or way=new"),
        ("schedule add x v times=02:00 keep=99", 1, "Give 1 to 31"),
        ("schedule add x v times=02:00 zone=Nowhere/Land", 1, "is no time zone"),
        ("schedule add x v times=02:00 first=soon", 1, "This is no day"),
        ("schedule run x", 1, "There is no schedule x"),
        ("schedule change x", 1, "There is no schedule x"),
    ],
)
def test_what_makes_no_sense_changes_nothing(line: Line, words: str, status: int, said: str) -> None:
    answer = line(f"vxsnap -g t {words}")
    assert (answer.status, said in answer.err) == (status, True), answer.err
    assert line.ask("vxsnap schedule list") == []
