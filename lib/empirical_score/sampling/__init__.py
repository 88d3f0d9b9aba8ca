"""Noise levels and processes, and the samplers that walk along them."""
