"""How precisely do learners solve the planner's problem, and how fast?

    python benchmarks/planner.py [--only PART ...] [--processes 2]

Prints the table of chapter *Learning by a planner* and stores it, with device, seconds, seeds,
versions and command, in `benchmarks/results/planner.json`. Parts: `learners` (the library's own),
`defaults` and `tuned` (the rivals, 120 seconds a run, before and after the search of `tune.py`),
`calibration` (the library's own with the same settings in another economy), `runs` (five runs at
once against one) and `steps` (throughput of the economy). A part named by `--only` replaces the
stored one.

Each run has one thread; its seconds are those of the core that it used, so that other work on
the machine does not shorten them. The parts `runs` and `steps` are timed by the wall clock.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import numpy as np
import torch
from learners import LEARNERS, learn_for
from record import FOLDER, aligned, provenance

from lectures_lib.agents import PPO
from lectures_lib.economies import Planner
from lectures_lib.evaluation import best_fixed_action, evaluate
from lectures_lib.solvers import solve

SEEDS = range(5)
RIVAL_SECONDS = 120
OURS = ("PPO, common shocks", "Probing", "Analytic")
RIVALS = ("PPO, ordinary", "SB3 PPO", "SB3 SAC")
OTHER = {"alpha": 0.36, "beta": 0.95, "delta": 0.08, "phi": 0.8}


def run(name, economy, seed, seconds, setting):
    """Train once and judge; the numbers of one row and seed."""
    torch.set_num_threads(1)
    policy, steps, took = learn_for(name, economy, seed, seconds, setting)
    return judge(policy, economy) | {"seed": seed, "steps": steps, "seconds": took}


def judge(policy, economy):
    """The distances of the table, in per cent of the exact rule."""
    report = evaluate(policy, economy, solve(economy), seed=12345)
    spread = report.moments["s.d. of capital"] / report.reference_moments["s.d. of capital"]
    return {
        "loss": 100 * report.consumption_equivalent_loss,
        "loss_standard_error": 100 * report.loss_standard_error,
        "policy_error": 100 * report.policy_error_mean,
        "euler_residual": 100 * report.euler_residual_mean,
        "capital_spread": 100 * spread,
    }


def runs_of(jobs, processes):
    """Run jobs (row, arguments) side by side; {row: list of results, one per seed}."""
    rows: dict[str, list] = {row: [] for row, _ in jobs}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        pending = {pool.submit(run, *arguments): row for row, arguments in jobs}
        for done, future in enumerate(as_completed(pending), 1):
            row, result = pending[future], future.result()
            rows[row].append(result)
            print(
                f"{done}/{len(jobs)}  {row}, seed {result['seed']}: loss {result['loss']:.5f}%, "
                f"policy error {result['policy_error']:.3f}%, {result['seconds']:.0f} s",
                flush=True,
            )
    return {row: sorted(results, key=lambda r: r["seed"]) for row, results in rows.items()}


def learners(processes):
    economy = Planner()
    jobs = [(n, (n, economy, s, LEARNERS[n].seconds, {})) for n in OURS for s in SEEDS]
    constant = judge(best_fixed_action(economy), economy)
    exact = judge(solve(economy).policy, economy)
    return {"best constant share": [constant], **runs_of(jobs, processes), "exact": [exact]}


def calibration(processes):
    economy = Planner(**OTHER)
    jobs = [(n, (n, economy, s, LEARNERS[n].seconds, {})) for n in OURS for s in SEEDS]
    return {"best constant share": [judge(best_fixed_action(economy), economy)]} | runs_of(
        jobs, processes
    )


def defaults(processes):
    """The rivals with the settings they come with."""
    return _rivals(processes, "defaults", {name: {} for name in RIVALS})


def tuned(processes):
    """The rivals with the best settings that `tune.py` found."""
    found = json.loads((FOLDER / "tune.json").read_text())
    best = {name: found[name]["trials"][0]["setting"] for name in RIVALS}
    return _rivals(processes, "tuned", best)


def _rivals(processes, label, settings):
    economy = Planner()
    jobs = [
        (f"{name}, {label}", (name, economy, s, RIVAL_SECONDS, setting))
        for name, setting in settings.items()
        for s in SEEDS
    ]
    return runs_of(jobs, processes)


def runs(_):
    """Seconds per iteration of PPO with one run and with five."""
    seconds = {}
    for label, kwargs in (("one", {"seed": 0}), ("five", {"seeds": range(5)})):
        agent = PPO(Planner(), device="cpu", **kwargs)
        agent.learn(50 * agent.steps_per_iteration)
        before = agent.seconds
        agent.learn(250 * agent.steps_per_iteration)
        seconds[label] = (agent.seconds - before) / 200
    return seconds | {"ratio": seconds["five"] / seconds["one"]}


def steps(_):
    """Economy steps per second of Planner.step at a batch of 65,536."""
    economy, generator, batch = Planner(), torch.Generator().manual_seed(0), (65_536,)
    state, shocks = economy.reset(batch, generator), economy.draw(batch, generator)
    shares = {"planner": torch.full((*batch, 1, 1), 0.1)}
    with torch.no_grad():
        for _ in range(20):
            state = economy.step(state, shares, shocks).state
        started = time.perf_counter()
        for _ in range(500):
            state = economy.step(state, shares, shocks).state
    return {"steps_per_second": 500 * batch[0] / (time.perf_counter() - started)}


PARTS = {f.__name__: f for f in (steps, runs, learners, calibration, defaults, tuned)}


def table(results) -> str:
    """The stored results as lines of text."""
    head = ("", "loss, %", "worst", "policy error, %", "worst", "s.d. of capital, %", "seconds")
    lines = [head]
    for part in ("learners", "defaults", "tuned", "calibration"):
        lines.append((f"[{part}]", *[""] * 6))
        for row, found in results.get(part, {}).items():
            column = {k: np.array([r[k] for r in found]) for k in found[0]}
            seconds = f"{np.median(column['seconds']):.0f}" if "seconds" in column else ""
            lines.append(
                (
                    row,
                    f"{np.median(column['loss']):.5f}",
                    f"{column['loss'].max():.5f}",
                    f"{np.median(column['policy_error']):.3f}",
                    f"{column['policy_error'].max():.3f}",
                    f"{np.median(column['capital_spread']):.1f}",
                    seconds,
                )
            )
    text = aligned(lines)
    if "runs" in results:
        text.append(f"five runs at once against one: {results['runs']['ratio']:.2f} x the time")
    if "steps" in results:
        rate = results["steps"]["steps_per_second"]
        text.append(f"Planner.step, batch 65,536: {rate / 1e6:.1f} million steps per second")
    return "\n".join(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    path = FOLDER / "planner.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for part in arguments.only:
        print(f"--- {part}", flush=True)
        results[part] = PARTS[part](arguments.processes)
        results.setdefault("made", {})[part] = provenance("python benchmarks/planner.py")
        path.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
