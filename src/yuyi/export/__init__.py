"""One model in every form, and the measured cost of each."""
