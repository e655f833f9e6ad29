"""What a run leaves, where it lies, and how it is executed."""
