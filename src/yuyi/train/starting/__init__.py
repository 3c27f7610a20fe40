"""What training starts from and what it leaves: models from a folder, cut down or from scratch; saved."""
