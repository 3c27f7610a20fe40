"""One step of making data: runs once for its settings and inputs, goes on after a kill, publishes whole.

A step writes a folder of parts. While it is unfinished the folder is hidden and called `.NAME.unfinished`; it
holds `begun.json`, which says what work it belongs to, and beside each finished job its counts. A run that
finds such a folder for the same work does what is left; one with other settings begins anew. When everything
is there, `step.json` is written and the folder takes the place of an older one. Parts do not depend on the
number of processes, nor on how often the work was interrupted.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from yuyi.artifacts import hash_code, hash_file, hash_json, publish_file
from yuyi.errors import InputError, WorkerError
from yuyi.file_lock import try_lock
from yuyi.machine import available_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from yuyi.progress import Done

Job = TypeVar("Job")
# Numbers by name, in as many levels as needed: {"rows": 3, "dropped": {"forum": {"too short": 1}}}.
Counts: TypeAlias = dict[str, Any]

_BEGUN, _RECORD, _SCRATCH, _COUNTS = "begun.json", "step.json", "scratch", ".counts.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """What a finished step did, as `step.json` keeps it beside its parts.

    Attributes:
        step: its name.
        fingerprint: of settings, inputs and code; while it stands the step need not run again.
        settings: what decided the result.
        inputs: digest of each input, by name.
        digest: of the parts.
        parts: names of the files, in order.
        counts: what it counted.
        seconds: wall time of the run that finished it.
        peak_memory: bytes that the largest of its processes held.
        kept: whether it was found done.
    """

    step: str
    fingerprint: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    digest: str
    parts: tuple[str, ...]
    counts: Counts
    seconds: float
    peak_memory: int
    kept: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a step works until it is finished.

    Attributes:
        folder: its parts go here.
        workers: processes that it may use.
        on_done: to be called with numbers of rows.
        peaks: bytes that each process held at most which did a job.
    """

    folder: Path
    workers: int
    on_done: Done
    peaks: list[int] = field(default_factory=list)

    @property
    def scratch(self) -> Path:
        """A folder for what is needed only until the step is finished."""
        place = self.folder / _SCRATCH
        place.mkdir(exist_ok=True)
        return place

    def once(self, name: str, make: Callable[[Path], object]) -> Path:
        """The scratch file `name`, which `make` writes to a temporary path unless an earlier run did."""
        path = self.scratch / name
        if not path.exists():
            with publish_file(path) as temporary:
                make(temporary)
        return path

    def each(
        self, jobs: Mapping[str, Job], make: Callable[[str, Job, Path], Counts], *, scratch: bool = False
    ) -> Counts:
        """The counts of all jobs together; `make(name, job, folder)` does one, in a process of its own.

        A job writes the files it likes into `folder`, each with `publish_file` and named after the job, and
        returns its counts, of which `rows` moves the display. What an earlier run finished is not done again.

        Args:
            jobs: by name, in the order in which their counts are added up.
            make: a function at the top of a module, so that another process can find it.
            scratch: whether the files are only needed until the step is finished.

        Raises:
            WorkerError: a process died.
        """
        folder = self.scratch if scratch else self.folder
        waiting = {name: job for name, job in jobs.items() if not _counts_file(folder, name).exists()}
        for name in jobs.keys() - waiting.keys():
            self.on_done(_read_json(_counts_file(folder, name)).get("rows", 0))
        for counts, peak in _run_all(waiting, make, folder, self.workers):
            self.peaks.append(peak)
            self.on_done(counts.get("rows", 0))
        total: Counts = {}
        for name in jobs:
            add_counts(total, _read_json(_counts_file(folder, name)))
        return total


def run_step(
    path: Path,
    make: Callable[[Workplace], Counts],
    *,
    settings: Any,
    inputs: Mapping[str, str],
    code: Sequence[str],
    workers: int | None = None,
    on_done: Done = lambda texts, tokens=0: None,
) -> StepRecord:
    """The record of a step whose parts lie in `path`; `make` runs only if they do not yet.

    Args:
        path: the folder of the parts; its name is the step's.
        make: writes the parts and returns what it counted.
        settings: a dataclass or JSON that decides the result.
        inputs: digest of each input, by name.
        code: rooms or files of yuyi whose change makes the result another one.
        workers: processes; None for one a core.
        on_done: called with numbers of rows as they are done.

    Raises:
        InputError: the place cannot be written, or another process is at this step.
    """
    values = json.loads(json.dumps(settings, default=asdict))
    fingerprint = hash_json([path.name, values, dict(inputs), hash_code(*code)])
    unfinished = path.with_name(f".{path.name}.unfinished")
    with _alone(path):
        _settle(path, unfinished)
        done = read_record(path)
        if done is not None and done.fingerprint == fingerprint:
            _remove(unfinished)
            return StepRecord(**{**_values(done), "kept": True})
        begin = time.monotonic()
        with _writing(path):
            _begin(unfinished, fingerprint)
            _forget_peak()
            place = Workplace(unfinished, workers or available_cores(), on_done)
            counts = make(place)
            parts = tuple(sorted(file.name for file in unfinished.iterdir() if not _is_passing(file)))
            record = StepRecord(
                step=path.name,
                fingerprint=fingerprint,
                settings=values,
                inputs=dict(inputs),
                digest=hash_json([[name, hash_file(unfinished / name)] for name in parts]),
                parts=parts,
                counts=counts,
                seconds=round(time.monotonic() - begin, 1),
                peak_memory=max(_peak_memory(), *place.peaks, 0),
            )
            _write_json(unfinished / _RECORD, _values(record))
            _settle(path, unfinished)
    return record


def read_record(path: Path) -> StepRecord | None:
    """What the step that wrote the folder `path` says of itself; None where there is no finished step.

    Raises:
        InputError: its `step.json` is damaged.
    """
    file = path / _RECORD
    if not file.exists():
        return None
    try:
        values = _read_json(file)
        return StepRecord(**{**values, "parts": tuple(values["parts"])})
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{file}: damaged ({error}). Remove the folder {path} and make it again.") from error


def add_counts(total: Counts, more: Counts) -> None:
    """Add the numbers of `more` to those of `total`, level by level."""
    for name, value in more.items():
        if isinstance(value, dict):
            add_counts(total.setdefault(name, {}), value)
        else:
            total[name] = total.get(name, 0) + value


def _run_all(
    jobs: Mapping[str, Job], make: Callable[[str, Job, Path], Counts], folder: Path, workers: int
) -> Iterator[tuple[Counts, int]]:
    if min(workers, len(jobs)) <= 1:
        for name, job in jobs.items():
            yield _run(make, name, job, folder)
        return
    # Spawned, because a forked copy of a process with threads (numpy, pyarrow) can hang.
    with ProcessPoolExecutor(
        min(workers, len(jobs)),
        mp_context=get_context("spawn"),
        initializer=_start_worker,
        initargs=(max(1, available_cores() // workers),),
    ) as pool:
        running = [pool.submit(_run, make, name, job, folder) for name, job in jobs.items()]
        try:
            for future in as_completed(running):
                yield future.result()
        except BrokenProcessPool as error:
            raise WorkerError(
                f"{folder.name}: a worker process died, perhaps for want of memory, or in a script whose "
                'calls are not under `if __name__ == "__main__":`. What was finished is kept. Run it again, '
                "with fewer workers."
            ) from error
        finally:
            # After an error what has begun still ends, and what has not never begins.
            pool.shutdown(cancel_futures=True)


def _start_worker(cores: int) -> None:
    # The plain answer to Ctrl-C ends a worker at once and without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ["YUYI_CORES"] = str(cores)


def _run(make: Callable[[str, Job, Path], Counts], name: str, job: Job, folder: Path) -> tuple[Counts, int]:
    """What a job counted, and the bytes that its process held at most."""
    counts = make(name, job, folder)
    _write_json(_counts_file(folder, name), counts)
    return counts, _peak_memory()


def _counts_file(folder: Path, name: str) -> Path:
    return folder / f"{name}{_COUNTS}"


def _begin(unfinished: Path, fingerprint: str) -> None:
    begun = unfinished / _BEGUN
    if begun.exists() and _read_json(begun) == fingerprint:
        return
    _remove(unfinished)
    unfinished.mkdir(parents=True)
    _write_json(begun, fingerprint)


def _is_passing(file: Path) -> bool:
    """Whether a file is only needed until the step is finished, or was left behind by a kill."""
    return file.name in (_BEGUN, _RECORD, _SCRATCH) or file.name[0] == "." or file.name.endswith(_COUNTS)


def _settle(path: Path, unfinished: Path) -> None:
    """Put a finished folder in its place, also where a kill came between."""
    old = path.with_name(f".{path.name}.old")
    if (unfinished / _RECORD).exists():
        _remove(unfinished / _SCRATCH)
        for file in unfinished.iterdir():
            if file.name != _RECORD and _is_passing(file):
                file.unlink()
        if path.exists():
            _remove(old)
            path.rename(old)
        unfinished.rename(path)
    _remove(old)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """A block that no second process enters for the same step."""
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock").open("w")
    with lock:
        if not try_lock(lock):
            raise InputError(f"{path}: another process is making this. Wait for it, or name another folder.")
        yield


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:  # What is missing was written a moment ago: no fault of the disk.
        raise
    except (OSError, sqlite3.OperationalError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path}: cannot be written ({reason}). What was finished is kept. Make room or "
            "mend the permissions, and run the same command again."
        ) from error


def _values(record: StepRecord) -> dict[str, Any]:
    values = asdict(record)
    del values["kept"]
    return values


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _write_json(path: Path, value: Any) -> None:
    with publish_file(path) as temporary:
        temporary.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def _forget_peak() -> None:
    """Let the system measure this process's largest memory anew, where it can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory() -> int:
    """Bytes that this process held at most, since `_forget_peak` where that works, else in its life."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
