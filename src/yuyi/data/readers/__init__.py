"""One reader a kind of file: what it holds as documents, in Markdown with spans."""
