"""From allocation logits and a rank budget to ranks and masks."""
