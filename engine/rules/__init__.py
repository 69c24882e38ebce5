"""Why something is impossible: each rule answers None, or one sentence and the first thing that would help.

Planners refuse with these, and the console greys actions and drop targets with the very same ones. Every rule takes the
configuration first and never raises for records that exist.
"""

from engine.rules.disks import disk_can_join, disk_empty, disk_present
from engine.rules.groups import group_quiet, group_without_volumes, needs_imported, one_group
from engine.rules.names import NAME_MAX, name_free, name_ok, next_name
from engine.rules.parity import is_parity, no_column_out, not_log, not_parity, parity_known, stays_readable
from engine.rules.plexes import (
    all_complete,
    has_source,
    keeps_a_mirror,
    plex_can_attach,
    plex_can_break,
    plex_can_detach,
    plex_complete,
    plex_present,
    plexes_can_go,
    trusted,
)
from engine.rules.repair import (
    LEFT_OUT,
    disk_can_return,
    is_lost,
    lost_pieces,
    plexes_to_return,
    relocated,
    to_repair,
)
from engine.rules.shapes import (
    COLUMNS_MAX,
    MIRRORS_MAX,
    SIZE_MAX,
    STRIPE_UNIT_MAX,
    STRIPE_UNIT_MIN,
    log_fits,
    mirrors_ok,
    parity_ok,
    size_ok,
    stripes_ok,
)
from engine.rules.subdisks import SECTOR, can_join, can_move, can_rearrange, can_split, can_take_subdisk, shares_disk
from engine.rules.tasks import (
    IODELAY_MAX_MS,
    no_running_task,
    running,
    task_controllable,
    task_live,
    task_of,
    volumes_of,
)
from engine.rules.volumes import in_use_by_clients, not_initializing, volume_ready
from engine.rules.words import counted, listed, needed_free

__all__ = [
    "COLUMNS_MAX",
    "IODELAY_MAX_MS",
    "LEFT_OUT",
    "MIRRORS_MAX",
    "NAME_MAX",
    "SECTOR",
    "SIZE_MAX",
    "STRIPE_UNIT_MAX",
    "STRIPE_UNIT_MIN",
    "all_complete",
    "can_join",
    "can_move",
    "can_rearrange",
    "can_split",
    "can_take_subdisk",
    "counted",
    "disk_can_join",
    "disk_can_return",
    "disk_empty",
    "disk_present",
    "group_quiet",
    "group_without_volumes",
    "has_source",
    "in_use_by_clients",
    "is_lost",
    "is_parity",
    "keeps_a_mirror",
    "listed",
    "log_fits",
    "lost_pieces",
    "mirrors_ok",
    "name_free",
    "name_ok",
    "needed_free",
    "needs_imported",
    "next_name",
    "no_column_out",
    "no_running_task",
    "not_initializing",
    "not_log",
    "not_parity",
    "one_group",
    "parity_known",
    "parity_ok",
    "plex_can_attach",
    "plex_can_break",
    "plex_can_detach",
    "plex_complete",
    "plex_present",
    "plexes_can_go",
    "plexes_to_return",
    "relocated",
    "running",
    "shares_disk",
    "size_ok",
    "stays_readable",
    "stripes_ok",
    "task_controllable",
    "task_live",
    "task_of",
    "to_repair",
    "trusted",
    "volume_ready",
    "volumes_of",
]
