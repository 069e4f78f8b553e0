"""The Principles of Deep Learning Theory (arXiv 2106.10165)."""
