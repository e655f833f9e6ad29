"""The commands beside training: one file a command."""
