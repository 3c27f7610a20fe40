"""Whom a model in training follows: a teacher, or itself as it was."""
