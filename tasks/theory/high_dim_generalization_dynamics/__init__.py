"""High-dimensional dynamics of generalization error in neural networks (arXiv 1710.03667)."""
