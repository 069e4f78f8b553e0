"""Is Temperature Sample Efficient for Softmax Gaussian Mixture of Experts? (arXiv 2401.13875)."""
