"""Existence, Stability and Scalability of Orthogonal Convolutional Neural Networks (arXiv 2108.05623)."""
