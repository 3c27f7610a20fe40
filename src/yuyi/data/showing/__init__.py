"""What a data folder holds, to look at: figures, pages, charts, and where a pair came from."""
