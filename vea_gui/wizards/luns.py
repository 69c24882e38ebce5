"""Add LUN."""

from __future__ import annotations

from engine.commands import AddLuns
from engine.config import Config
from engine.records import Disk, Kind
from vea_gui.selection import Selection
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page
from vea_gui.wizards.host_devices import Device, block_devices


def add_lun(config: Config, selection: Selection) -> Form:
    """Files and block devices that become known as disks. Nothing on them changes."""
    devices = block_devices()
    fields = [
        Field(
            "paths",
            "Image files",
            FieldKind.PATHS,
            default=(),
            check=_nothing,
            hint="The path of an image file or block device on each line.",
        )
    ]
    if devices:
        fields.append(
            Field(
                "devices",
                "Block devices",
                FieldKind.LISTS,
                default=(),
                options=lambda config, _: _options(config, devices),
                lists=("Block devices of this host", "Selected devices"),
            )
        )
    sentence = "Decide which files and devices this host knows as disks. Nothing is written to them."
    return Form("add_lun", "Add LUN", (Page("Add LUN", sentence, tuple(fields)),), _build)


def _options(config: Config, devices: list[Device]) -> list[Option]:
    known = {disk.lun: disk.name for disk in config.all(Kind.DISK, Disk)}
    return [Option(each.path, each.words, _why_not(each, known)) for each in devices]


def _why_not(device: Device, known: dict[str, str]) -> str:
    return f"known as {known[device.path]}" if device.path in known else device.used


def _nothing(config: Config, answers: Answers) -> str:
    return "" if answers["paths"] or answers.get("devices") else "Give a path, or select a device."


def _build(config: Config, answers: Answers) -> AddLuns:
    return AddLuns(paths=(*answers["paths"], *answers.get("devices", ())))
