"""The layer and its learnt ranks for a training loop of one's own, or transformers' Trainer."""
