"""The command `lora-sweep`, also `python -m lora_sweep`: which of the commands is meant.

    lora-sweep COMMAND ...

Settings or options without the name of a command are of `run`; nothing at all asks for help. A
command is loaded when it is called.
"""

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from lora_sweep import __version__, terminal
from lora_sweep.commands import completion

COMMANDS = {
    "run": "train a run; with --multirun a sweep or a search",
    "status": "show how a sweep stands",
    "report": "print a sweep's tables, and write its report",
    "resolve": "add seeds to a sweep until its comparisons are resolved",
    "evaluate": "print the metrics of a run on any data",
    "predict": "write the labels of a file of texts",
    "export": "write a run as a PEFT adapter, a merged model or its few matrices",
}
"""Name of a command, and of its file in `commands/` -> what it does."""
_EXAMPLES = (
    "lora-sweep run init=quadratic lr=0.002",
    "lora-sweep run --multirun init=uniform,randn seed=0,1,2",
    "lora-sweep run --multirun sweep=initializations",
    "lora-sweep report outputs/SWEEP",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command, and ends the process with its exit code.

    Args:
        arguments: of the command line; None for those of this process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    first = given[0] if given else ""
    if completion.is_asked(given) and not completion.complete_commands(COMMANDS):
        return
    if first in ("", "-h", "--help"):
        print(_help())
    elif first == "--version":
        print(f"lora_sweep {__version__}")
    elif first.isidentifier() and first not in COMMANDS:
        near = get_close_matches(first, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else "--help says what each does"
        there = ", ".join(COMMANDS)
        terminal.say(f"error: the command must be one of {there}, but got {first}: {hint}")
        sys.exit(1)
    else:
        name, rest = (first, given[1:]) if first in COMMANDS else ("run", given)
        sys.exit(import_module(f"lora_sweep.commands.{name}").main(rest))


def _help() -> str:
    commands = [f"  {name:10}{what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: lora-sweep COMMAND ...",
            "",
            "Sweeps over LoRA-XS adapters whose ranks are learnt under a budget.",
            "",
            *commands,
            "",
            "lora-sweep COMMAND --help explains a command; that of run shows every setting.",
            "What starts with a setting is of run. --version prints the version.",
            "",
            *(f"  {example}" for example in _EXAMPLES),
        ]
    )
