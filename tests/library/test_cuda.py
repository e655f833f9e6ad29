import pytest
import torch
from classifiers import PLAN, make_batch, make_model

from lora_sweep import adapt, parameter_groups


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_adapted_model_moves_to_a_gpu_and_trains_the_same() -> None:
    trained = []
    for device in ("cpu", "cuda"):
        model = make_model().train()
        adapter = adapt(model, PLAN)
        adapter.schedule(steps_per_epoch=2, n_epochs=2)
        model.to(device)  # as the Trainer does, after the model was adapted
        optimiser = torch.optim.SGD(parameter_groups(model, lr=0.5, lr_logits=0.5, lr_head=0.5))
        for step in range(4):
            batch = {name: values.to(device) for name, values in make_batch(8, step).items()}
            model(**batch).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            adapter.advance()
        trained.append((adapter.R.detach().cpu(), adapter.logits.detach().cpu()))
    for ours, theirs in zip(trained[1], trained[0], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
