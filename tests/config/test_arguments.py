"""What is typed for a run: each mistake is said with the rule, the value and the right form."""

import pytest

from lora_sweep.config.arguments import check_arguments
from lora_sweep.config.names import fields, options
from lora_sweep.errors import SettingError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lr=0.1,", "0.2"], "typed without blanks, but got lr=0.1, 0.2: type lr=0.1,0.2"),
        (["lr=0.1", ",0.2", "seed=3"], "without blanks, but got lr=0.1 ,0.2: type lr=0.1,0.2"),
        (["seed=3", "lr", "=", "0.1"], "without blanks, but got lr = 0.1: type lr=0.1"),
        (["lr=", "0.1"], "without blanks, but got lr= 0.1: type lr=0.1"),
        (["model.adapted=[query,", "value]"], "type model.adapted=[query,value]"),
        (["seed=1", "=3"], "a setting must be NAME=VALUE, but got =3"),
        (["lr=[0.1,0.2]"], "but got [0.1,0.2]: type --multirun lr=0.1,0.2"),
        (["init=[randn,fixed]"], "but got [randn,fixed]: type --multirun init=randn,fixed"),
        (["rank_min=3"], "rank_min is no setting, but got rank_min=3: did you mean rank.min?"),
        (["rank.mix=3"], "did you mean rank.min or rank.max?"),
        (["batch_size=3"], "did you mean training.batch_size?"),
        (["training.epoch=3"], "did you mean training.epochs or training.epochs_discrete?"),
        (["data.colour=3"], "data.colour is no setting, but got data.colour=3: data has"),
        (["colour=3"], "colour is no setting, but got colour=3: there are adapter, allocation"),
        (["+colour=3"], "colour is no setting, but got +colour=3"),
        (["~colour"], "colour is no setting, but got ~colour"),
        (["+lr=3"], "lr must be typed without a +, for it is there already, but got +lr=3"),
        (["learning_rate=0.1"], "but got 0.1: a setting of it is learning_rate.adapter=VALUE"),
        (["rank={min:1}"], "fixed_8, r5_25, r5_30, r5_50, but got {'min': 1}: a"),
        (["init=uniforn"], "but got uniforn: did you mean uniform?"),
        (["training=schema"], "training must be one of published, short, but got schema"),
        (["data=schema_cola"], "but got schema_cola"),
        (["init"], "a setting must be NAME=VALUE, but got init"),
        (["rank_min"], "a setting must be NAME=VALUE, but got rank_min: did you mean rank.min?"),
        (["rank.min=many"], "rank.min must be an integer, but got many"),
        (["seed=1.5"], "seed must be an integer, but got 1.5"),
        (["lr="], "lr must be a number, but got nothing"),
        (["precision=float16"], "precision must be one of float32, bfloat16, but got float16"),
        (["compile=maybe"], "compile must be true or false, but got maybe"),
        (["model.dropout=x"], "model.dropout must be null or a number, but got x"),
        (["init.values=3"], "init.values must be null or a list in brackets, but got 3"),
        (["model.path=/a(b"], "/a(b: quotes keep signs as they are, 'model.path=\"/a(b\"'"),
        (["seed=0,1"], "seed must be one value in a single run, but got seed=0,1: add --multirun"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_mistake_is_said_with_the_right_form(arguments: list[str], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        check_arguments(arguments, is_multirun=False)
    assert message in str(caught.value)


def test_each_value_of_an_axis_is_checked() -> None:
    for axis, wrong in (("rank.min=3,many", "many"), ("init=uniform,nope", "nope")):
        with pytest.raises(SettingError, match=f"but got {wrong}"):
            check_arguments([axis], is_multirun=True)


@pytest.mark.parametrize(
    "argument",
    [
        *("lr=0.1,0.2", "seed=range(3)", "lr=interval(0,1)", "rank.min=choice(1,2)"),
        *("init=uniform,randn", "model.adapted=[query],[value]", "init.values=[0,0.5]"),
        *("lr=1", "lr='0.1'", "lr=${seed}", "model.path=null", "data.path='/a (b)'", "sweep=null"),
        *("hydra.launcher.pack_size=8", "+hydra.launcher.ray.init.num_cpus=2", "~lr", "++lr=0.1"),
        *("data.n_train=3", "data.train=a.tsv", "allocation.beta1=0.5", "compile=true"),
    ],
)
def test_what_is_right_passes(argument: str) -> None:
    check_arguments([argument], is_multirun=True)


def test_own_configs_may_bring_groups_and_options() -> None:
    arguments = ["+mine=a", "init=mine", "data.mine=3"]
    check_arguments(arguments, is_multirun=False, own_configs=True)
    with pytest.raises(SettingError, match="rank_min"):
        check_arguments(["rank_min"], is_multirun=False, own_configs=True)


def test_schemas_are_not_offered() -> None:
    assert not [name for names in options().values() for name in names if "schema" in name]
    assert set(options()) >= {"init", "data", "sweep"}
    assert "hydra" not in options()


def test_every_plain_field_and_one_of_each_group_is_known() -> None:
    assert {"lr", "seed", "rank.min", "data.n_train", "data.train", "paths.sweep"} <= set(fields())
    assert not set(fields()) & set(options())
