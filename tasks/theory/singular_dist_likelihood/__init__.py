"""A likelihood approach to a singular distribution (arXiv 2105.04046)."""
