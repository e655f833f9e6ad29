"""Learnt ranks in a training loop of one's own: `python examples/own_loop.py`.

Trains the embedded model on the embedded sentences; nothing is downloaded.
"""

from pathlib import Path

import torch
from corpus import arguments, load, matthews
from judge import Judge
from torch.utils.data import DataLoader
from transformers import get_linear_schedule_with_warmup, set_seed

from lora_sweep import AdapterPlan, adapt, load_adapter, parameter_groups, save_adapter

SAVED = Path("outputs/own_loop.safetensors")


def main() -> None:
    """Trains, says what was learnt, and shows that the saved adapter is all there is to keep."""
    sizes = arguments(__doc__)
    set_seed(0)
    base, train, dev, collate = load(sizes.n_train, sizes.n_dev)
    loader = DataLoader(train, batch_size=16, shuffle=True, collate_fn=collate)

    model = Judge(base)
    adapter = adapt(model, AdapterPlan(rank_min=5, rank_max=25, rank_average=20, init="quadratic"))
    adapter.schedule(steps_per_epoch=len(loader), n_epochs=sizes.epochs)
    groups = parameter_groups(model, lr=1e-2, lr_logits=1e-2, lr_head=3e-3)
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    n_steps = len(loader) * sizes.epochs
    rates = get_linear_schedule_with_warmup(optimiser, int(0.06 * n_steps), n_steps)
    for epoch in range(sizes.epochs):
        model.train()
        for batch in loader:
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            rates.step()
            optimiser.zero_grad()
            adapter.advance()
        print(f"epoch {epoch + 1}: Matthews correlation {matthews(model, dev, collate):.4f}")

    ranks = list(adapter.integer_ranks().values())
    spent = sum(rank * rank for rank in ranks)
    print(f"ranks {ranks}\nspend {spent} of {adapter.budget_params:.0f} entries")
    SAVED.parent.mkdir(exist_ok=True)
    save_adapter(model, SAVED)
    again = Judge(base)
    load_adapter(again, SAVED)
    size = SAVED.stat().st_size / 1000
    print(f"{SAVED}: {size:.0f} kB; loaded again: {matthews(again, dev, collate):.4f}")


if __name__ == "__main__":
    main()
