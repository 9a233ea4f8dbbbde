"""One model, from settings to result."""
