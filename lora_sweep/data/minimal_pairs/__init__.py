"""The embedded corpus: generated pairs of acceptable and unacceptable sentences."""
