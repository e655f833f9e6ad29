import pytest

from lora_sweep.report.table.components import component_groups, component_names, layer_of

BERT = ("attention.self.query", "attention.self.value", "attention.output.dense", "output.dense")


def _names(prefix: str, tails: tuple[str, ...]) -> list[str]:
    return [f"{prefix}.{layer}.{tail}" for layer in range(2) for tail in tails]


@pytest.mark.parametrize(
    ("prefix", "tails", "expected"),
    [
        ("encoder.layer", BERT, ["query", "value", "attention output", "output"]),
        ("roberta.encoder.layer", (*BERT, "intermediate.dense"),
         ["query", "value", "attention output", "output", "intermediate"]),
        ("transformer.layer", ("attention.q_lin", "attention.out_lin", "ffn.lin2"),
         ["q lin", "out lin", "lin2"]),
        ("layers", ("attn.q_proj", "attn.o_proj", "mlp.o_proj"),
         ["q proj", "attn o proj", "mlp o proj"]),
        ("encoder.layer", ("attention.self.query_proj", "attention.output.dense"),
         ["query proj", "attention output"]),
    ],
)  # fmt: skip
def test_components_of_many_encoders(
    prefix: str, tails: tuple[str, ...], expected: list[str]
) -> None:
    names = _names(prefix, tails)
    assert component_names(names) == expected * 2
    assert [layer_of(name) for name in names] == [0] * len(tails) + [1] * len(tails)
    assert component_groups(names) == {
        word: [i, i + len(tails)] for i, word in enumerate(expected)
    }


def test_names_without_a_layer_are_their_own_component() -> None:
    assert component_names(["pooler.dense"]) == ["pooler dense"]
    assert layer_of("pooler.dense") is None
