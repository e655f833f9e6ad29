"""The benchmark of lora_sweep: `make bench`."""
