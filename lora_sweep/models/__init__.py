"""Base encoders: where they lie, what they contain, how they load."""
