"""Kolmogorov-Arnold Transformer (arXiv 2409.10594)."""
