"""What the steps that mark pairs are made of."""
