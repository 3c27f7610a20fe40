"""Texts before any model sees them: decoding, Markdown blocks, tokens."""
