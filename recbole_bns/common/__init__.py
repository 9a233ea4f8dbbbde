"""What every room may use, and nothing of which knows this project."""
