"""Vectors as torch tensors, for those who go on in torch."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from yuyi.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray


def as_tensor(vectors: NDArray[Any]) -> Any:
    """A `torch.Tensor` on the CPU that shares the memory of the vectors.

    Raises:
        MissingExtra: torch is not installed.
    """
    require("torch")
    import torch

    return torch.from_numpy(vectors)


def visible_gpus() -> int:
    """How many CUDA devices this process may use; none without torch."""
    if find_spec("torch") is None:
        return 0
    import torch

    return torch.cuda.device_count()
