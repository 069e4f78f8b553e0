"""Towards Exact Computation of Inductive Bias (arXiv 2406.15941)."""
