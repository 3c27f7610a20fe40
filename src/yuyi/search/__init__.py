"""Search: an exact index of vectors, passages of texts, and an index of files that is kept between runs."""
