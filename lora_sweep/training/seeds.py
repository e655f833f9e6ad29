"""Random streams of a run: every generator is named, and comes from the run's seed alone.

A stream depends on nothing but seed and name, so a run draws the same numbers whichever runs it
is trained with, and an epoch's data order can be drawn again without replaying the epochs before.
"""

import hashlib

import torch

CPU = torch.device("cpu")


def stream_seed(seed: int, stream: str) -> int:
    """Returns the 63-bit seed of a named stream: leading bits of SHA-256("seed/stream")."""
    digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream_generator(seed: int, stream: str, device: torch.device = CPU) -> torch.Generator:
    """Returns a generator at the start of a named stream; each kind of device draws its own."""
    return torch.Generator(device).manual_seed(stream_seed(seed, stream))
