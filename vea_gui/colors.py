"""Every colour of the console, in one place: two themes, layouts with their patterns, states. Figures only."""

from __future__ import annotations

from engine.records import VolumeLayout
from vea_gui.words import Tone

LIGHT = "light"
DARK = "dark"
THEMES = (LIGHT, DARK)

SURFACES: dict[str, dict[str, str]] = {
    LIGHT: {
        "window": "#F6F7F9",
        "base": "#FFFFFF",
        "alternate": "#F7F8FA",
        "text": "#1C1F24",
        "muted": "#565D68",
        "disabled": "#5F6670",
        "button": "#E7E9ED",
        "border": "#B9BEC7",
        "outline": "#747B86",
        "accent": "#1F5FBF",
        "accent-text": "#FFFFFF",
        "link": "#1F5FBF",
        "tooltip": "#FFFFFF",
        "mid": "#D5D8DE",
        "tint": "#BFD3EE",
    },
    DARK: {
        "window": "#1E2126",
        "base": "#16181C",
        "alternate": "#1B1E23",
        "text": "#E7E9EC",
        "muted": "#A9B0BA",
        "disabled": "#9CA3AE",
        "button": "#2C3036",
        "border": "#4A505A",
        "outline": "#7A828E",
        "accent": "#2F6FD0",
        "accent-text": "#FFFFFF",
        "link": "#7FB2F5",
        "tooltip": "#2C3036",
        "mid": "#383D45",
        "tint": "#2F4A70",
    },
}

LAYOUT_COLORS: dict[str, dict[str, str]] = {
    LIGHT: {
        "concat": "#C8A227",
        "stripe": "#1B8A8F",
        "mirror": "#A8503C",
        "mirror-stripe": "#8A5A9E",
        "raid5": "#2E7DBE",
        "log": "#7A7F87",
        "free": SURFACES[LIGHT]["base"],
    },
    DARK: {
        "concat": "#D9B84A",
        "stripe": "#39A9AE",
        "mirror": "#C96F59",
        "mirror-stripe": "#A87BBB",
        "raid5": "#5AA0D8",
        "log": "#9BA1AA",
        "free": SURFACES[DARK]["base"],
    },
}
LAYOUT_TITLES = {
    "concat": "Concatenated",
    "stripe": "Striped",
    "mirror": "Mirrored",
    "mirror-stripe": "Mirrored Stripe",
    "raid5": "RAID-5",
    "log": "Log, map",
    "free": "Free",
}
PATTERNS = {
    "concat": "plain",
    "stripe": "vertical bars",
    "mirror": "two horizontal lines",
    "mirror-stripe": "grid",
    "raid5": "diagonal",
    "log": "dots",
    "free": "light diagonal hatch",
}
STATE_COLORS: dict[str, dict[Tone, str]] = {
    LIGHT: {
        Tone.GOOD: "#2E7D32",
        Tone.INFORMATION: "#1565C0",
        Tone.WORKING: "#1565C0",
        Tone.WARNING: "#A65F00",
        Tone.ERROR: "#C62828",
    },
    DARK: {
        Tone.GOOD: "#66BB6A",
        Tone.INFORMATION: "#64B5F6",
        Tone.WORKING: "#64B5F6",
        Tone.WARNING: "#FFB74D",
        Tone.ERROR: "#F28B82",
    },
}
_WHITE_TEXT = {(LIGHT, "mirror"), (LIGHT, "mirror-stripe")}

LAYOUT_NAMES = {
    VolumeLayout.CONCAT: "concat",
    VolumeLayout.STRIPE: "stripe",
    VolumeLayout.MIRROR: "mirror",
    VolumeLayout.MIRROR_STRIPE: "mirror-stripe",
    VolumeLayout.RAID5: "raid5",
}


def layout_name(layout: VolumeLayout) -> str:
    """The word under which colours, patterns and legends know a layout."""
    return LAYOUT_NAMES[layout]


def block_text(theme: str, layout: str) -> str:
    """Colour of words on a block of a layout."""
    if layout == "free":
        return SURFACES[theme]["text"]
    return "#FFFFFF" if (theme, layout) in _WHITE_TEXT else "#000000"


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21, as WCAG 2 computes it."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
