"""The version, in a file of its own so that every room may read it without the whole package."""

__version__ = "0.1.0"
