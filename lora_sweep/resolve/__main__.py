"""`python -m lora_sweep.resolve`: only calls the command."""

import sys

from lora_sweep.commands.resolve import main

if __name__ == "__main__":
    sys.exit(main())
