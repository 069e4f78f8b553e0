"""Grokking as the Transition from Lazy to Rich Training Dynamics (arXiv 2310.06110)."""
