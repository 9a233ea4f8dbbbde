"""What negatives were worth: measured while a model trains, and written as it is known."""
