"""What every room may use and none of which knows this project: errors, files, locks, processes, tables."""
