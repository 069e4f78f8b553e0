"""Symmetric matrix products by half their tiles, and the Newton-Schulz iteration on them."""
