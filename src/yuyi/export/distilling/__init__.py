"""An encoder as a token table that follows it."""
