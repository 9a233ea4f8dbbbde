"""What a run leaves on disk: the contract between all commands."""
