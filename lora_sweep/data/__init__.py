"""Tasks, corpora, tokens and batches."""
