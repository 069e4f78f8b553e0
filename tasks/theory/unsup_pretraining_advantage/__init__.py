"""On the Provable Advantage of Unsupervised Pretraining (arXiv 2303.01566)."""
