"""More is Better in Modern Machine Learning (arXiv 2311.14646)."""
