"""Neural Tangent Kernel: Convergence and Generalization in Neural Networks (arXiv 1806.07572)."""
