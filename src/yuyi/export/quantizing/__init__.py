"""Models in fewer bits: what is rounded, on which texts, and what is kept wider by measurement."""
