"""Which rows go into a training set, and in which order: a quota for each group, random rows up to it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from yuyi.artifacts import publish_file
from yuyi.data.mixing.allotment import allot, tempered_weights
from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.data.mixture import MixtureConfig
    from yuyi.data.step import Counts


def draw(scratch: Path, parts: list[str], config: MixtureConfig, counts: Counts, path: Path) -> None:
    """Write the drawn rows of every part with the keys of their order, and beside it what was taken."""
    kept = counts["kept"]
    groups = [(source, kind) for source in sorted(kept) for kind in sorted(kept[source])]
    numbers = {f"{source}\t{kind}": number for number, (source, kind) in enumerate(groups)}
    quotas = _quotas(groups, kept, config)
    pieces = []
    for number, part in enumerate(parts):
        with np.load(scratch / f"{part}.free.npz") as free:
            of_part = np.array([numbers.get(name, -1) for name in free["names"]], np.int64)
            codes = of_part[free["codes"].astype(np.int64)].astype(np.int32)
            rows = free["rows"].astype(np.int32)
        pieces.append(
            (
                codes,
                np.full(len(rows), number, np.int32),
                rows,
                generator(config.seed, part).random(len(rows)),
            )
        )
    code, part_number, row, key = (np.concatenate(column) for column in zip(*pieces, strict=True))
    # The rows of each group together, in random order; the place in its group decides how often one is taken.
    order = np.lexsort((key, code))
    sizes = np.bincount(code, minlength=len(groups))
    begin = np.repeat(np.cumsum(sizes) - sizes, sizes)
    of_group = code[order]
    times = quotas[of_group] // sizes[of_group]
    times += np.arange(len(order)) - begin < quotas[of_group] % sizes[of_group]
    drawn = np.repeat(order, times)
    drawn = drawn[np.lexsort((row[drawn], part_number[drawn]))]
    place = generator(config.seed, "order").random(len(drawn))
    with path.open("wb") as file:
        arrays = {}
        for number, part in enumerate(parts):
            here = part_number[drawn] == number
            arrays[f"{part}.rows"], arrays[f"{part}.order"] = row[drawn][here], place[here]
        np.savez(file, **arrays)
    taken = by_source(
        {"\t".join(group): int(quota) for group, quota in zip(groups, quotas, strict=True) if quota}
    )
    with publish_file(scratch / "drawn.npz.taken.json") as temporary:
        temporary.write_text(json.dumps(taken, ensure_ascii=False), "utf-8")


def generator(seed: int, name: str) -> np.random.Generator:
    """Random numbers that a seed and a name decide, such as that of a part."""
    digest = hashlib.sha256(f"{seed}\t{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _quotas(groups: list[tuple[str, str]], kept: Counts, config: MixtureConfig) -> NDArray[np.int64]:
    """How many rows each group gives.

    Raises:
        InputError: fewer than `config.size` may be taken.
    """
    given, size = config.weights, config.size
    factors = np.array(
        [
            given.sources.get(source, 1)
            * given.kinds.get(kind, 1)
            * given.tasks.get(config.tasks.get(kind, kind), 1)
            for source, kind in groups
        ],
        np.float64,
    )
    rows = np.array([kept[source][kind] for source, kind in groups], np.int64)
    caps = [
        (np.array([group[position] == name for group in groups], bool), most)
        for position, named in enumerate((config.caps.sources, config.caps.kinds))
        for name, most in named.items()
    ]
    if size is None:
        limits = np.ceil(np.round(rows * np.minimum(factors, 1), 6)).astype(np.int64)
        quotas = allot(rows * factors, limits, caps)
    else:
        _, sources = np.unique([source for source, _ in groups], return_inverse=True)
        weights = tempered_weights(sources, rows, config.alpha) * factors
        quotas = allot(weights, rows * config.repeat, [*caps, (np.ones(len(groups), bool), size)])
    if size is not None and quotas.sum() < size:
        raise InputError(
            f"mix.size: {size:,} rows, but only {quotas.sum():,} may be taken. Lower it, raise mix.repeat or "
            "mix.caps, or name reasons in mix.ignore."
        )
    if not quotas.sum():
        raise InputError("mix: weights and caps leave nothing to take. Raise one of them above 0.")
    return quotas


def by_source(groups: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Counts by source and kind, of counts by both joined with a tab."""
    nested: dict[str, dict[str, int]] = {}
    for group, count in sorted(groups.items()):
        source, _, kind = group.partition("\t")
        nested.setdefault(source, {})[kind] = count
    return nested
