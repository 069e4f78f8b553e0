"""A Method on Searching Better Activation Functions: CRReLU (arXiv 2405.12954)."""
