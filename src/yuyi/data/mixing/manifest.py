"""What a training set was made from: sources with licences and counts, and every step with its digest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from yuyi.data.extract import licences
from yuyi.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from yuyi.data.folder import DataFolder
    from yuyi.data.step import Counts


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a source came from, as the settings of `extract` say.

    Attributes:
        origin: where it was had, such as an address, or the empty string where nobody said.
        licence: its licence, or the empty string where nobody named one.
    """

    origin: str = ""
    licence: str = ""


def origins(folder: DataFolder) -> dict[str, Origin]:
    """The origin of each source by its name, from the record of `extract`; empty where there is none."""
    extracted = folder.record("documents")
    if extracted is None or "collections" not in extracted.counts:
        return {}
    return {name: Origin(**told) for name, told in licences(extracted).items()}


def documents_by_source(folder: DataFolder) -> dict[str, int]:
    """Number of documents of each source, from the record of `extract`; empty where there is none."""
    extracted = folder.record("documents")
    counts = extracted.counts.get("documents", {}) if extracted else {}
    return {name: count for name, count in counts.items() if isinstance(count, int)} if counts else {}


def manifest_of(
    folder: DataFolder, settings: Any, inputs: Mapping[str, str], counts: Counts, file: Path, digest: str
) -> dict[str, Any]:
    """The manifest of a training set, as JSON.

    Of all and of each source, `dropped_pairs` are those that are not kept. `dropped` counts them by reason,
    and a pair with several reasons under each, so that its numbers may add up to more.

    Args:
        folder: where the steps were done.
        settings: of the mixture, a dataclass.
        inputs: digest of each step that was read, by name.
        counts: of the mixture: `rows`, and `made`, `kept`, `marked` and `taken` by source.
        file: the training set.
        digest: its SHA-256, in hex.
    """
    origin, documents = origins(folder), documents_by_source(folder)
    sources = {
        name: {
            "origin": origin.get(name, Origin()).origin or None,
            "licence": origin.get(name, Origin()).licence or None,
            "documents": documents.get(name),
            **_of_source(name, counts, settings.ignore),
        }
        for name in sorted(counts["made"])
    }
    return {
        "yuyi": __version__,
        "file": file.name,
        "sha256": digest,
        "bytes": file.stat().st_size,
        "rows": counts["rows"],
        "dropped_pairs": sum(told["dropped_pairs"] for told in sources.values()),
        "seed": settings.seed,
        "settings": asdict(settings),
        "sources": sources,
        "steps": _steps(folder, inputs),
    }


def _of_source(name: str, counts: Counts, ignored: Collection[str]) -> dict[str, Any]:
    """What was made of a source, dropped, kept and taken."""
    made = counts["made"][name]
    kept, taken = counts["kept"].get(name, {}), counts["taken"].get(name, {})
    marked = counts["marked"].get(name, {})
    return {
        "pairs": sum(made.values()),
        "dropped_pairs": sum(made.values()) - sum(kept.values()),
        "dropped": {reason: count for reason, count in marked.items() if reason not in ignored},
        "kept": sum(kept.values()),
        "taken": sum(taken.values()),
        "share": round(sum(taken.values()) / counts["rows"], 6),
        "kinds": {
            kind: {"pairs": made[kind], "kept": kept.get(kind, 0), "taken": taken.get(kind, 0)}
            for kind in sorted(made)
        },
    }


def _steps(folder: DataFolder, inputs: Mapping[str, str]) -> dict[str, Any]:
    """Digest, settings and inputs of each step that was read, and of those that they read in turn."""
    found: dict[str, Any] = {}
    waiting = list(inputs)
    while waiting:
        name = waiting.pop()
        record = folder.record(name) if name not in found else None
        if record is not None:
            found[name] = {"digest": record.digest, "settings": record.settings, "inputs": record.inputs}
            waiting.extend(record.inputs)
    return dict(sorted(found.items()))
