"""Autoencoder-targeted adversarial transformers against EEG artifacts, arXiv 2502.05332, re-constructed."""
