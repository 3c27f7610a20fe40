"""What a model is judged by: local test sets and mteb's own, as tasks of mteb."""
