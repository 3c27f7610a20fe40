"""What finding hard negatives is made of."""
