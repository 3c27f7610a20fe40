"""A recipe names data, vocabulary, teacher and stages; running it makes a model folder with its card."""
