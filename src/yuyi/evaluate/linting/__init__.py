"""A card against its own figures and against the files beside it."""
