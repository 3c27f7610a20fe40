"""yuyi (语义): Chinese and English text embeddings.

`load()` opens the embedded model, or any model folder, without touching the network:

    >>> import yuyi
    >>> model = yuyi.load()
    >>> model.encode(["胡子长得太快怎么办？", "How do I renew my passport?"]).shape
    (2, 256)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yuyi.version import __version__

__all__ = ["Encoder", "__version__", "load"]

if TYPE_CHECKING:
    from yuyi.encode.encoder import Encoder
    from yuyi.encode.load import load


def __getattr__(name: str) -> Any:
    """The public names, imported at first use so that `import yuyi` stays instant."""
    if name in ("Encoder", "load"):
        from yuyi import encode

        return getattr(encode, name)
    raise AttributeError(f"module 'yuyi' has no attribute {name!r}")
