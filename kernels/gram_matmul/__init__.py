"""Gaussian kernel matrices times matrices without storing the kernel matrix, and the MMD that stands on them."""
