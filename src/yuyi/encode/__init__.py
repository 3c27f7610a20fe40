"""Texts to vectors: `load` opens a model folder, `Encoder` encodes with it."""

from yuyi.encode.encoder import Encoder
from yuyi.encode.load import load

__all__ = ["Encoder", "load"]
