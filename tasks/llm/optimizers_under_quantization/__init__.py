"""Beyond Outliers: A Study of Optimizers Under Quantization (arXiv 2509.23500)."""
