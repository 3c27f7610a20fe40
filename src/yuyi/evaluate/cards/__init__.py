"""A model's card from its results, its folder and the record of its training."""
