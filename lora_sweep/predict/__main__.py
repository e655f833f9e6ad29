"""`python -m lora_sweep.predict`: only calls the command."""

import sys

from lora_sweep.commands.predict import main

if __name__ == "__main__":
    sys.exit(main())
