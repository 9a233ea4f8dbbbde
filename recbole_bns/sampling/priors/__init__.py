"""Probabilities that an item is a false negative, known before any score."""
