"""From drawn rows to texts and a loss, for each family of objectives."""
