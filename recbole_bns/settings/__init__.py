"""What users write, and what each setting is."""
