"""The transformer encoders, in torch: a model folder to an `Embedder` that computes no padding."""
