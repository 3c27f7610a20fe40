"""Results side by side: which differences are real, and on which tasks a model was not trained."""
