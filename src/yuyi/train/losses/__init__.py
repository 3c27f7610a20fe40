"""Objectives as pure functions of embeddings: nothing here knows a model, a tokenizer or a file.

Embeddings need not have unit length: every function compares by cosine, except `squared_distance`. A vector
of length zero, which a text without tokens has, is at cosine 0 to all others and gets no gradient. Each
function returns a scalar that can be differentiated, averaged over the rows of the batch, and computes in
float32 where the embeddings have less.

The embeddings come first. `yuyi.train.matryoshka` cuts what is given by position, so all else goes by name
there.
"""

from yuyi.train.losses.contrast import info_nce
from yuyi.train.losses.cosines import cosines
from yuyi.train.losses.distillation import alignment, margin_mse, relation, score_kl, squared_distance
from yuyi.train.losses.judged import cosent, label_contrast, tuple_contrast
from yuyi.train.losses.regularisers import spread_out

__all__ = [
    "alignment",
    "cosent",
    "cosines",
    "info_nce",
    "label_contrast",
    "margin_mse",
    "relation",
    "score_kl",
    "spread_out",
    "squared_distance",
    "tuple_contrast",
]
