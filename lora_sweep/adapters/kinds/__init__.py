"""The kinds of adapters: a file each, found by itself (see `adapters.kind`)."""
