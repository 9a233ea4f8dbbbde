"""SRNS's study (section 4.2): what false negatives on purpose do to samplers."""
