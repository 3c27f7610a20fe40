"""A model's card from its results, its folder and the record of its training."""

from typing import Literal

Shape = Literal["mteb1", "mteb2"]
Language = Literal["en", "zh"]

__all__ = ["Language", "Shape"]
