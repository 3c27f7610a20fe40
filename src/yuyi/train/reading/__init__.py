"""What training reads: pairs and documents as tokens on disk, held-out rows, hidden words."""
