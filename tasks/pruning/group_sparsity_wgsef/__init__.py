"""Learning k-Level Structured Sparse Neural Networks Using Group Envelope Regularization (arXiv 2212.12921)."""
