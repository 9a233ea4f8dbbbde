"""Many trainings: locally a process each; goes on after any end."""
