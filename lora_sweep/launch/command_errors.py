"""The errors that a command ends in, kept from Hydra.

Hydra prints lines of its own over what a job raises, and makes a mere warning of what a callback
raises. So jobs and callbacks note their error here, and `cli` raises it once Hydra has returned.
"""

_NOTED: list[Exception] = []


def note(error: Exception) -> None:
    """Notes an error of this command."""
    _NOTED.append(error)


def are_noted() -> bool:
    """Returns whether this command ends in an error."""
    return bool(_NOTED)


def forget() -> None:
    """Begins a new command."""
    _NOTED.clear()


def raise_first() -> None:
    """Raises the first error that was noted, if there is one."""
    if _NOTED:
        raise _NOTED[0]
