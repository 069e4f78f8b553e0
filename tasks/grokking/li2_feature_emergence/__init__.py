"""Provable Scaling Laws of Feature Emergence from Learning Dynamics of Grokking: Li2 (arXiv 2509.21519)."""
