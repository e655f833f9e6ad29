"""`python -m lora_sweep.evaluate`: only calls the command."""

import sys

from lora_sweep.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
