"""What only the chapters use: figures, and numbers that the text quotes."""
