"""An error -> the few lines that a user should read of it."""

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from lora_sweep.errors import LoraSweepError

EXPECTED = (LoraSweepError, HydraException, OmegaConfBaseException, OSError)
"""What tells a user enough without the place in the code."""
MAX_ERROR_LINES = 5
_HYDRA_INSIDE = ("To append to your config", "object_type=", "reference_type=")


def error_lines(error: BaseException) -> list[str]:
    """Returns what a user should read of an error, in at most five lines.

    The package's own error is taken out of whatever wraps it. Lists that come one item a line
    are put into one line.
    """
    own = _own(error)
    text = str(own or error)
    if own is None and isinstance(error, HydraException | OmegaConfBaseException):
        text = f"the settings can't be put together: {text}"
    if own is None and isinstance(error.__cause__, OmegaConfBaseException):
        text += f"\n{error.__cause__}"
    # Hydra's inside is left out, and so is its advice to add settings that this package refuses.
    text = text.partition("Config search path")[0]
    lines: list[str] = []
    for line in text.splitlines():
        said = line.strip()
        key = said.removeprefix("full_key: ")
        is_repeated = key != said and any(key in other for other in lines)
        if not said or is_repeated or said.startswith(_HYDRA_INSIDE):
            continue
        if lines and lines[-1].endswith((":", ",")) and line[0] in "\t ":
            lines[-1] += f" {line.strip()},"
        else:
            lines.append(line.rstrip())
    first, *others = lines or [first_line(own or error)]
    return [f"error: {first}", *[line.rstrip(",") for line in others]][:MAX_ERROR_LINES]


def first_line(error: BaseException) -> str:
    """Returns the first line of what an error says; of one that says nothing, what it is."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip() if lines else f"{type(error).__name__} without a message"


def _own(error: BaseException | None) -> LoraSweepError | None:
    while error is not None and not isinstance(error, LoraSweepError):
        error = error.__cause__ or error.__context__
    return error
