"""Robust Layerwise Scaling Rules by Proper Weight Decay Tuning (arXiv 2510.15262)."""
