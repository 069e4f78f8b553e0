"""Fake quantization: QuEST's Hadamard-space quantizer with a trust mask, and symmetric round-to-nearest by row."""
