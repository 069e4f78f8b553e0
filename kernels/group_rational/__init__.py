"""Group-wise rational activation of the Kolmogorov-Arnold Transformer."""
