"""Data files on disk: checked, prepared from their originals, written."""
