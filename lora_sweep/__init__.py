"""LoRA-XS layers with learnt ranks, trained in sweeps: which split of a rank budget works best?"""

__version__ = "0.1.0"
