"""What a run and a sweep leave on disk, and what became of a run."""
