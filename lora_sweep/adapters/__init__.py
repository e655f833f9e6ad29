"""LoRA-XS layers: frozen factors, latent matrices, and their injection into an encoder."""
