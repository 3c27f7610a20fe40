"""What this process may use of the machine: cores and memory, as the container bounds them, not the host's.

Linux alone tells the limits of a container, through control groups of either version; elsewhere the whole
machine counts.
"""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path("/")
# Assumed where a system says nothing of its memory.
_UNKNOWN_MEMORY = 4 << 30


def available_cores(root: Path = _ROOT) -> int:
    """Number of cores that this process may keep busy, at least one.

    The smallest of the cores it may run on (as `taskset` and cpusets restrict them) and the processor time
    that its control groups grant, where a started core counts as one. The environment variable YUYI_CORES
    lowers it: worker processes get their share by it, and so can whoever shares the machine with others.

    Args:
        root: where `/proc` and `/sys` are looked for.

    Raises:
        InputError: YUYI_CORES is not a whole number from 1 on.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder in _control_groups(root, "cpu"):
        quota, period = _quota(folder)
        if quota > 0 and period > 0:
            cores = min(cores, math.ceil(quota / period))
    return max(1, min(cores, _share() or cores))


def available_memory(root: Path = _ROOT) -> int:
    """Bytes of memory that this process can still take without swapping or being killed.

    The smallest of what the system has available and what is left under the limits of its control groups;
    a file cache that can be given back counts as free.

    Args:
        root: where `/proc` and `/sys` are looked for.
    """
    free = _system_memory(root)
    for folder in _control_groups(root, "memory"):
        limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
        if limit is not None:
            used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes") or 0
            statistics = _table(folder / "memory.stat")
            cache = statistics.get("total_inactive_file") or statistics.get("inactive_file") or 0
            free = min(free, limit - max(0, used - cache))
    return max(0, free)


def processor_name(root: Path = _ROOT) -> str:
    """What the processor is called, as far as the system tells.

    Args:
        root: where `/proc` is looked for.
    """
    named = (
        line.partition(":")[2].strip()
        for line in _lines(root / "proc/cpuinfo")
        if line.startswith("model name")
    )
    return next(named, "") or platform.processor() or platform.machine()


def _share() -> int | None:
    """The cores that YUYI_CORES leaves to this process; None where it is not set."""
    given = os.environ.get("YUYI_CORES")
    if not given:
        return None
    if not given.isdecimal() or int(given) < 1:
        raise InputError(f"YUYI_CORES={given!r}: not a number of cores. Set it to 1 or more, or not at all.")
    return int(given)


def _control_groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders whose limits bind this process: its own group's and those above, of either version.

    Inside a container its own group is often mounted as the root, so that only that folder exists.
    """
    system = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounts = [system / controllers, system / controller] if controllers else [system, system / "unified"]
        inner = Path(path.lstrip("/"))
        for mount in dict.fromkeys(mounts):
            for folder in (inner, *inner.parents):
                if (mount / folder).is_dir():
                    yield mount / folder


def _quota(folder: Path) -> tuple[int, int]:
    """Microseconds of processor time granted in a period, and the period; zeros without a limit."""
    words = (_lines(folder / "cpu.max") or [""])[0].split()
    if len(words) == 2 and words[0].isdecimal():
        return int(words[0]), int(words[1])
    return _number(folder / "cpu.cfs_quota_us") or 0, _number(folder / "cpu.cfs_period_us") or 0


def _system_memory(root: Path) -> int:
    if available := _table(root / "proc/meminfo").get("MemAvailable:"):
        return available << 10
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return _UNKNOWN_MEMORY


def _table(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    rows = (line.split() for line in _lines(path))
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}


def _number(path: Path) -> int | None:
    """The number a file holds; None without the file, or where it says `max`."""
    text = "".join(_lines(path)[:1]).strip()
    return int(text) if text.isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:  # Another system, another version of control groups, or no permission: no limit known.
        return []
