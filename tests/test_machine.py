from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from yuyi.errors import InputError
from yuyi.machine import available_cores, available_memory, processor_name

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30
MEMINFO = f"MemTotal: {64 << 20} kB\nMemFree: 1000 kB\nMemAvailable: {32 << 20} kB\n"
CORES = len(os.sched_getaffinity(0))


def system(root: Path, group: str, files: dict[str, str]) -> Path:
    """A machine with 32 GiB to spare, and the given control group files."""
    for name, text in {"proc/meminfo": MEMINFO, "proc/self/cgroup": group, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_this_machine() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
    assert 0 < available_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_the_processor_has_a_name(tmp_path: Path) -> None:
    assert processor_name(tmp_path)
    text = "processor\t: 0\nmodel name\t: Xeon 一 @ 2.0: GHz\nprocessor\t: 1\nmodel name\t: other\n"
    assert processor_name(system(tmp_path, "0::/\n", {"proc/cpuinfo": text})) == "Xeon 一 @ 2.0: GHz"


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == CORES
    assert available_memory(tmp_path) > 0


def test_no_limits(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/cpu.max": "max 100000\n", "sys/fs/cgroup/memory.max": "max\n"}
    root = system(tmp_path, "0::/\n", files)
    assert (available_cores(root), available_memory(root)) == (CORES, 32 * GIB)


@pytest.mark.parametrize(("quota", "cores"), [("50000 100000", 1), ("100000 100000", 1), ("10 100000", 1)])
def test_version_2_bounds_cores(tmp_path: Path, quota: str, cores: int) -> None:
    assert available_cores(system(tmp_path, "0::/a/b\n", {"sys/fs/cgroup/a/b/cpu.max": quota})) == cores


def test_a_started_core_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    root = system(tmp_path, "0::/\n", {"sys/fs/cgroup/cpu.max": "250000 100000"})
    assert available_cores(root) == 3


def test_the_group_above_binds_too(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/pod/memory.max": str(4 * GIB),
        "sys/fs/cgroup/pod/memory.current": str(3 * GIB),
        "sys/fs/cgroup/pod/memory.stat": f"anon 5\ninactive_file {GIB}\n",
        "sys/fs/cgroup/pod/job/memory.max": str(16 * GIB),
    }
    assert available_memory(system(tmp_path, "0::/pod/job\n", files)) == 2 * GIB


def test_version_1_in_a_container(tmp_path: Path) -> None:
    """The path is the host's, and the container's own group is mounted as the root."""
    group = "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/docker/abc\n"
    files = {
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "60000",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2 * GIB),
        "sys/fs/cgroup/memory/memory.usage_in_bytes": str(GIB),
        "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 2\n",
    }
    root = system(tmp_path, group, files)
    assert (available_cores(root), available_memory(root)) == (1, GIB + 2)


def test_version_1_without_a_limit(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    }
    root = system(tmp_path, "5:memory:/\n4:cpu:/\n", files)
    assert (available_cores(root), available_memory(root)) == (CORES, 32 * GIB)


def test_nothing_left(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/memory.max": "100", "sys/fs/cgroup/memory.current": "200"}
    assert available_memory(system(tmp_path, "0::/\n", files)) == 0


def test_a_share_of_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    for share, cores in (("3", 3), ("9", 8), ("", 8)):
        monkeypatch.setenv("YUYI_CORES", share)
        assert available_cores(tmp_path) == cores
    for wrong in ("0", "-1", "half"):
        monkeypatch.setenv("YUYI_CORES", wrong)
        with pytest.raises(InputError, match="YUYI_CORES"):
            available_cores(tmp_path)
