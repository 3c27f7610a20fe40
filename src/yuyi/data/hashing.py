"""A number for a text, by which texts are told apart without being held."""

from __future__ import annotations

from hashlib import blake2b


def hash64(*texts: str) -> int:
    """A number below 2 to the 64 that depends on these texts in this order alone, whatever the machine."""
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(joined, digest_size=8).digest(), "little")
