"""Networks that learn a score, and the targets that they learn from."""
