"""Volumes that become smaller while they are started: what is kept, what is freed, who is refused."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from engine.commands import GrowVolume, ScrubVolume, ShrinkVolume, StopVolumes, VerifyVolume
from engine.errors import CommandRejected
from engine.filesystems.superblocks import HEAD, content_of
from engine.records import Kind
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.nbd_peer import Client
from tests.engine.test_engine_life import pattern

LAYOUTS: dict[str, dict[str, object]] = {
    "concat": {},
    "stripe": {"striped": True, "columns": 3},
    "mirror": {"mirrors": 2},
    "raid5": {"raid5": True, "columns": 3},
    "mirror-stripe": {"striped": True, "columns": 2, "mirrors": 2, "stripe_unit": 2 * MIB},
}


lab = lab_fixture()


def shrink(lab: EngineLab, size: int, *, force: bool = False) -> None:
    lab.do(ShrinkVolume(volume=lab.volume().ref, size=size, force=force))


def refusal(lab: EngineLab, size: int, **choices: bool) -> str:
    with pytest.raises(CommandRejected) as caught:
        lab.engine.submit(ShrinkVolume(volume=lab.volume().ref, size=size, **choices))
    return str(caught.value)


def claimed(lab: EngineLab) -> int:
    """Bytes of LUNs that the volume takes."""
    plexes = (*lab.plexes(), *lab.config.logs_of(lab.volume().ref))
    return sum(sd.length for plex in plexes for sd in lab.config.subdisks_of(plex.ref))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_lies_before_the_new_end_stays_and_what_lies_behind_is_free(lab: EngineLab, layout: str) -> None:
    free = lab.group().free
    lab.make_volume(size=24 * MIB, **LAYOUTS[layout])
    data = pattern(7, 24 * MIB)
    assert lab.write(data) == 0
    before = claimed(lab)
    shrink(lab, 9 * MIB)
    assert lab.volume().size == 9 * MIB
    assert lab.read(0, 9 * MIB) == data[: 9 * MIB]
    assert claimed(lab) < before
    assert lab.group().free == free - claimed(lab)
    with pytest.raises(OSError, match="Invalid argument"):
        lab.read(9 * MIB - 512, 1024)
    assert lab.write(bytes(512), 9 * MIB) != 0
    lab.do(VerifyVolume(volume=lab.volume().ref))
    lab.kill()
    lab.start()
    assert lab.volume().size == 9 * MIB
    assert lab.read(0, 9 * MIB) == data[: 9 * MIB]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_was_cut_off_reads_as_zeros_when_the_volume_grows_again(lab: EngineLab, layout: str) -> None:
    lab.make_volume(size=24 * MIB, **LAYOUTS[layout])
    data = pattern(8, 24 * MIB)
    assert lab.write(data) == 0
    shrink(lab, 5 * MIB)
    lab.do(GrowVolume(volume=lab.volume().ref, size=24 * MIB))
    assert lab.read(0, 24 * MIB) == data[: 5 * MIB] + bytes(19 * MIB)
    lab.do(VerifyVolume(volume=lab.volume().ref))


def test_expanding_is_taken_back_by_shrinking(lab: EngineLab) -> None:
    lab.make_volume(size=8 * MIB)
    grow = GrowVolume(volume=lab.volume().ref, size=12 * MIB)
    assert "ShrinkVolume" in lab.engine.plan(grow).undo
    lab.do(grow)
    shrink(lab, 8 * MIB)
    assert claimed(lab) == 8 * MIB


def test_sizes_that_make_no_sense_are_refused(lab: EngineLab) -> None:
    lab.make_volume(size=8 * MIB)
    assert "has 8 MiB" in refusal(lab, 8 * MIB)
    assert "has 8 MiB" in refusal(lab, 7 * MIB + 1)
    assert "makes no sense" in refusal(lab, 0)


def test_nobody_is_shrunk_under_unless_forced(lab: EngineLab) -> None:
    lab.make_volume(size=8 * MIB)
    assert lab.opened is not None
    with Client(lab.opened.nbd) as client:
        client.go("dg/v")
        assert "in use by" in refusal(lab, 4 * MIB)
        plan = lab.engine.plan(ShrinkVolume(volume=lab.volume().ref, size=4 * MIB, force=True))
        assert any("will be disconnected" in warning for warning in plan.warnings)
        shrink(lab, 4 * MIB, force=True)
        assert lab.volume().size == 4 * MIB
        assert not lab.config.count(Kind.CONNECTION)


def test_the_plan_says_what_is_destroyed(lab: EngineLab) -> None:
    lab.make_volume(size=8 * MIB, mirrors=2)
    plan = lab.engine.plan(ShrinkVolume(volume=lab.volume().ref, size=5 * MIB))
    assert plan.destroys == (lab.volume().ref,)
    assert sum(freed.length for freed in plan.frees) == 6 * MIB
    assert "last 3 MiB of v" in plan.irreversible
    assert "cannot be had back" in plan.confirm


def test_a_stopped_volume_shrinks_too(lab: EngineLab) -> None:
    lab.make_volume(size=8 * MIB)
    lab.do(StopVolumes(volumes=(lab.volume().ref,)))
    shrink(lab, 4 * MIB)
    assert lab.volume().size == 4 * MIB


# --- what stands on it ---
def put_file_system(lab: EngineLab, tmp_path: Path, size: int) -> None:
    image = tmp_path / "fs.img"
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
    assert lab.write(image.read_bytes()) == 0


def test_a_file_system_is_not_cut_off_unless_forced(lab: EngineLab, tmp_path: Path) -> None:
    lab.make_volume(size=24 * MIB)
    put_file_system(lab, tmp_path, 16 * MIB)
    said = refusal(lab, 15 * MIB)
    assert "ext4 file system on v has 16 MiB" in said
    assert "Make it smaller first" in said
    shrink(lab, 16 * MIB)
    assert (lab.volume().content, lab.volume().content_size) == ("ext4 file system", 16 * MIB)
    plan = lab.engine.plan(ShrinkVolume(volume=lab.volume().ref, size=8 * MIB, force=True))
    assert any("damaged" in warning for warning in plan.warnings)
    shrink(lab, 8 * MIB, force=True)
    assert lab.write(bytes(HEAD)) == 0
    shrink(lab, 4 * MIB)
    assert lab.volume().content == ""


def test_raid5_is_shrunk_only_when_it_is_raw(lab: EngineLab, tmp_path: Path) -> None:
    lab.make_volume(size=24 * MIB, raid5=True, columns=3)
    put_file_system(lab, tmp_path, 8 * MIB)
    assert "only when it is raw" in refusal(lab, 16 * MIB)
    shrink(lab, 16 * MIB, force=True)
    assert lab.volume().size == 16 * MIB


def test_growing_says_that_the_file_system_stays(lab: EngineLab, tmp_path: Path) -> None:
    lab.make_volume(size=16 * MIB)
    put_file_system(lab, tmp_path, 16 * MIB)
    plan = lab.engine.plan(GrowVolume(volume=lab.volume().ref, size=20 * MIB))
    assert any("ext4 file system" in warning for warning in plan.warnings)


@pytest.mark.parametrize(
    ("maker", "phrase"),
    [
        (["mkfs.ext2", "-q", "-F"], "ext2 file system"),
        (["mkfs.ext4", "-q", "-F", "-O", "64bit", "-b", "4096"], "ext4 file system"),
        (["mkfs.ext4", "-q", "-F", "-b", "1024"], "ext4 file system"),
        (["mkswap", "-f"], "swap space"),
    ],
)
def test_known_content_is_recognized_with_its_size(tmp_path: Path, maker: list[str], phrase: str) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(32 * MIB)
    subprocess.run([*maker, str(image)], check=True, capture_output=True)
    found = content_of(image.read_bytes()[:HEAD])
    assert found is not None
    assert found.phrase == phrase
    assert found.size == 32 * MIB


def test_noise_and_short_reads_are_no_content() -> None:
    dice = random.Random(5)
    for length in (0, 1, 511, 4096, HEAD):
        for _ in range(200):
            content_of(dice.randbytes(length))
    assert content_of(b"") is None
    assert content_of(bytes(HEAD)) is None


# --- against a byte array ---
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sizes_go_up_and_down_as_a_byte_array_does(lab: EngineLab, layout: str, seed: int) -> None:
    dice, granule = random.Random(seed), 2 * MIB
    lab.make_volume(size=8 * MIB, **LAYOUTS[layout])
    expected = bytearray(8 * MIB)
    for _ in range(40):
        match dice.randrange(5):
            case 0 if len(expected) > granule:
                size = dice.randrange(1, len(expected) // granule) * granule
                shrink(lab, size)
                del expected[size:]
            case 1 if len(expected) < 24 * MIB:
                size = len(expected) + dice.randrange(1, 4) * granule
                lab.do(GrowVolume(volume=lab.volume().ref, size=size))
                expected.extend(bytes(size - len(expected)))
            case 2 if dice.random() < 0.3:
                assert lab.flush() == 0
                lab.kill()
                lab.start()
                for task in lab.config.tasks_of(lab.group().ref):
                    assert lab.engine.wait(task.ref, 60)
            case _:
                at = dice.randrange(len(expected) // (4 * KIB)) * 4 * KIB
                data = dice.randbytes(min(dice.choice((4, 64, 1500)) * KIB, len(expected) - at))
                assert lab.write(data, at) == 0
                expected[at : at + len(data)] = data
        assert lab.volume().size == len(expected)
    assert lab.read(0, len(expected)) == expected
    lab.do(VerifyVolume(volume=lab.volume().ref))


def test_a_shrunk_mirror_can_be_repaired(lab: EngineLab) -> None:
    """What a verification found behind the new end is not looked for any more."""
    lab.make_volume(size=8 * MIB, mirrors=2)
    shrink(lab, 4 * MIB)
    source = lab.plexes()[0].ref
    assert lab.do(ScrubVolume(volume=lab.volume().ref, source=source)).result.startswith("All mirrors are equal")
