"""How an extra of this package is installed; every message and guide says it in this form."""


def install_command(extra: str) -> str:
    """Returns the command that adds an extra.

    The package is on no index, so its name is never given to pip: a stranger's package could have
    it. The pins keep what is there as it is.

    Args:
        extra: as in `pyproject.toml`, e.g. `ray`.
    """
    return f"pip install -c constraints.txt -e '.[{extra}]' in the project's folder"
