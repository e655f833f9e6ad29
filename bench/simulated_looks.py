"""Resolves with a known truth: how often their claims are false, and how many seeds they take.

python -m bench.simulated_looks [--studies 500]
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
from tabulate import tabulate

from bench.simulated_sweeps import PUBLISHED, TRAINED, Seen, Truth, study
from lora_sweep.report.compare.looks import Resolved, look
from lora_sweep.report.compare.plan import LOOKS, Plan
from lora_sweep.report.compare.question import Question


def simulate(
    truth: Truth, n_studies: int, *, settings: str = "tuned", any_time: bool = False, seed: int = 0
) -> tuple[Seen, float, float]:
    """Returns what the claims are like, and mean seeds of all comparisons and of the first init's.

    A comparison that stays open counts with the seeds of the last look.

    Args:
        truth: what studies are made of; its seeds are the most that there are.
        n_studies: how many.
        settings: the question.
        any_time: whether one looks after every seed.
        seed: of the simulation.
    """
    rng, seen = np.random.default_rng(seed), Seen()
    question = Question(settings)
    all_seeds: list[int] = []
    first_seeds: list[int] = []
    for _ in range(n_studies):
        inits, baselines = study(truth, rng)
        plan = Plan(
            question,
            pairs=[(i.name, b.name) for i in inits for b in baselines],
            looks=tuple(n for n in LOOKS if n <= truth.n_seeds),
            any_time=any_time,
        )
        resolved = look(plan, {arm.name: arm for arm in (*inits, *baselines)}).resolved
        _judge(resolved, truth, question, seen)
        all_seeds += [r.n_seeds for r in resolved]
        first_seeds += [r.n_seeds for r in resolved if r.init == "init 0"]
    return seen, float(np.mean(all_seeds)), float(np.mean(first_seeds))


def _judge(resolved: Sequence[Resolved], truth: Truth, question: Question, seen: Seen) -> None:
    region = question.equivalence_points
    claims = [(r, truth.difference(r.init)) for r in resolved]
    seen.better.append(any(r.claim == "better" and d <= region for r, d in claims))
    seen.worse.append(any(r.claim == "worse" and d >= -region for r, d in claims))
    seen.equivalent.append(any(r.claim == "equivalent" and abs(d) >= region for r, d in claims))
    seen.found.append(any(r.claim == "better" and r.init == "init 0" for r in resolved))
    seen.equal += [r.claim == "equivalent" for r in resolved if r.init != "init 0"]


def truths() -> Iterator[Truth]:
    """Yields what docs/statistics.md shows."""
    for name, spread in (("", PUBLISHED), (", large spread", TRAINED)):
        for lead in (0.0, 0.49, 0.51, 1.0, 2.0, 4.0):
            yield Truth(
                f"one comparison, {lead:+g}{name}",
                30,
                lead=lead,
                spread=spread,
                n_inits=1,
                n_baselines=1,
            )
        for lead in (0.0, 0.49, 2.0, 4.0):
            words = f"eight comparisons, first init {lead:+g}{name}"
            yield Truth(words, 30, lead=lead, spread=spread)


def main() -> None:
    """Simulates all truths and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulated_looks")
    parser.add_argument("--studies", type=int, default=500)
    n_studies = parser.parse_args().studies
    rows = []
    for truth in truths():
        for settings, any_time in (("tuned", False), ("mean", False), ("tuned", True)):
            seen, n_all, n_first = simulate(truth, n_studies, settings=settings, any_time=any_time)
            names = ("better", "worse", "equivalent", "found", "equal")
            shares = [f"{100 * seen.share(name):.1f}" for name in names]
            way = f"{settings}, at any time" if any_time else settings
            rows.append([truth.name, way, *shares, f"{n_all:.1f}", f"{n_first:.1f}"])
            print(*rows[-1], sep=" | ", flush=True)
    headers = [
        "Truth", "Question", "false «better»", "false «worse»", "false «equivalent»",
        "first «better»", "others «equivalent»", "mean seeds", "of the first init",
    ]  # fmt: skip
    print(tabulate(rows, headers=headers, tablefmt="pipe"))


if __name__ == "__main__":
    main()
