"""Pairs to a token table: vocabulary, objectives, batches, the loop."""
