"""Learnt ranks with transformers' Trainer: `python examples/trainer.py`.

Needs accelerate, as every use of the Trainer does. Trains the embedded model on the embedded
sentences; nothing is downloaded.
"""

import torch
from corpus import arguments, load, matthews
from judge import Judge
from transformers import Trainer, TrainingArguments, set_seed

from lora_sweep import AdapterPlan, AllocationCallback, adapt, parameter_groups


def main() -> None:
    """Trains and says what was learnt."""
    sizes = arguments(__doc__)
    set_seed(0)
    base, train, dev, collate = load(sizes.n_train, sizes.n_dev)

    model = Judge(base)
    adapter = adapt(model, AdapterPlan(rank_min=5, rank_max=25, rank_average=20, init="quadratic"))
    groups = parameter_groups(model, lr=1e-2, lr_logits=1e-2, lr_head=3e-3)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir="outputs/trainer",
            num_train_epochs=sizes.epochs,
            per_device_train_batch_size=16,
            eval_strategy="epoch",
            warmup_steps=0.06,  # a share of all steps
            report_to="none",
        ),
        train_dataset=train,
        eval_dataset=dev,
        data_collator=collate,
        optimizers=(torch.optim.AdamW(groups, weight_decay=0.01), None),
        callbacks=[AllocationCallback()],
    )
    trainer.train()

    ranks = list(adapter.integer_ranks().values())
    spent = sum(rank * rank for rank in ranks)
    print(f"Matthews correlation {matthews(model, dev, collate):.4f}")
    print(f"ranks {ranks}\nspend {spent} of {adapter.budget_params:.0f} entries")


if __name__ == "__main__":
    main()
