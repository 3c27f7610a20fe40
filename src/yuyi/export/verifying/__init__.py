"""Every form beside the model that it is a form of, on the same texts."""
