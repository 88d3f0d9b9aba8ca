"""What all packages stand on: arrays of NumPy and torch, random numbers, files."""
