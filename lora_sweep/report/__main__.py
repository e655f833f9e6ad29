"""`python -m lora_sweep.report`: only calls the command."""

import sys

from lora_sweep.commands.report import main

if __name__ == "__main__":
    sys.exit(main())
