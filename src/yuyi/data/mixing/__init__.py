"""What drawing a training set is made of."""
