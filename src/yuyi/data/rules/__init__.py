"""What makes pairs of a document's blocks, its parts, or two documents that belong together."""
