"""Pruning: networks made smaller."""
