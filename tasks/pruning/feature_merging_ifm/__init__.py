"""Iterative Feature Merging, arXiv 2310.06756."""
