import hashlib

import torch

from lora_sweep.training.seeds import stream_generator, stream_seed


def test_stream_seed_is_the_named_hash() -> None:
    digest = hashlib.sha256(b"7/order/2").hexdigest()
    assert stream_seed(7, "order/2") == int(digest[:16], 16) // 2


def test_streams_differ_by_seed_and_name() -> None:
    draws = {
        (seed, name): torch.rand(1, generator=stream_generator(seed, name)).item()
        for seed in (0, 1)
        for name in ("head", "latent")
    }
    assert len(set(draws.values())) == 4
    assert torch.rand(1, generator=stream_generator(0, "head")).item() == draws[0, "head"]
