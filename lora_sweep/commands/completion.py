"""What a shell asks to complete: the names of the commands here, settings of `run` by Hydra."""

import os
import re
from collections.abc import Collection

_LINE = "COMP_LINE"
_OPTIONS = {"-sc", "--shell-completion"}


def is_asked(arguments: Collection[str]) -> bool:
    """Returns whether a shell asks what a line may go on with."""
    return not _OPTIONS.isdisjoint(arguments) and _LINE in os.environ


def complete_commands(commands: Collection[str]) -> bool:
    """Prints the commands that the line may mean; returns whether settings may follow, too.

    The line is then left without its command, as Hydra expects it.

    Args:
        commands: their names; only `run` has settings.
    """
    line = os.environ[_LINE]
    words = line.split()
    if line[-1:].isspace() or len(words) == 1:
        words.append("")
    if len(words) == 2:
        print("\n".join(name for name in commands if name.startswith(words[1])))
        return True
    if words[1] in commands:
        os.environ[_LINE] = re.sub(r"^\s*(\S+)\s+\S+", r"\1", line)
    return words[1] == "run" or words[1] not in commands
