"""PPO and Probing on Brock and Mirman's model, at equal environment steps, both with common shocks.

Both get the same search. Each candidate is trained with three seeds that are not reported, and the
one with the smallest mean policy error is the method's *best*. Candidates are six: a half and a
quarter of the default number of replicates, each with the default rate of the policy, with a
longer time in which only the critic learns, and with twice the rate beside that. (In a first trial
with more steps the default number of replicates was the worst of three for both.)
"""

from __future__ import annotations

import numpy as np

from lectures_lib.agents import PPO, PPOConfig, Probing, ProbingConfig
from lectures_lib.economies import BrockMirman

from .actor_critics import train

SEARCH_SEEDS = (100, 101, 102)
STEPS = 300_000
#: Both end with the same noise or probe and look at eight periods at a time, as PPO's search in
#: `actor_critics` has found.
KINDS = {
    "PPO": (PPO, PPOConfig, {"noise": (0.37, 0.02), "horizon": 8}),
    "Probing": (Probing, ProbingConfig, {"noise": (0.15, 0.02), "horizon": 8}),
}
WAYS = {
    "": {},
    ", critic first": {"warm_up": 100},
    ", critic first, twice the rate": {"warm_up": 100, "policy_rate": None},
}
CANDIDATES = {
    method: {
        f"{replicates} replicates{way}": {"replicates": replicates}
        | {name: value or 2 * rate for name, value in changes.items()}
        for replicates in (most // 2, most // 4)
        for way, changes in WAYS.items()
    }
    for method, most, rate in (("PPO", 16, 3e-3), ("Probing", 8, 6e-3))
}
#: The critic is all that an economy's own luck can reach, since both probes have the same.
OWN_SHOCKS = {"common_shocks": False, "difference_critic": False}


def trained(method: str, changes: dict, seeds):
    """What :func:`.actor_critics.train` returns for a candidate."""
    kind, config, common = KINDS[method]
    return train(kind, config(**(common | changes)), BrockMirman(), seeds, STEPS)


#: A second search for Probing alone, after the first: smaller batches, and half the rate.
SMALLER = {
    f"{groups} groups of {replicates}, rate {rate}": {
        "groups": groups,
        "replicates": replicates,
        "policy_rate": rate,
        "warm_up": 100,
    }
    for groups, replicates in ((8, 2), (4, 4), (4, 2))
    for rate in (3e-3, 6e-3)
}


def search(method: str, candidates: dict[str, dict]) -> dict[str, float]:
    """Mean policy error of each candidate after training, over the search's seeds."""
    errors = {}
    for label, changes in candidates.items():
        history, _, _ = trained(method, changes, SEARCH_SEEDS)
        errors[label] = float(history["error"][-1].mean())
        print(f"  {method}, {label}: {100 * errors[label]:.2f}%", flush=True)
    return errors


def row(method: str, changes: dict, seeds) -> dict:
    """What is stored of a method; its numbers are medians over seeds."""
    history, seconds, iterations = trained(method, changes, seeds)
    last = {name: 100 * history[name][-1] for name in ("error", "residual", "loss")}
    return {
        "error_percent": float(np.median(last["error"])),
        "error_low": float(last["error"].min()),
        "error_high": float(last["error"].max()),
        "residual_percent": float(np.median(last["residual"])),
        "loss_percent": float(np.median(last["loss"])),
        "steps": history.steps[-1],
        "iterations": iterations,
        "seconds_per_seed": seconds[-1] / len(seeds),
        "seeds": list(seeds),
        "curve": {
            "steps": history.steps,
            "seconds": seconds,
            "error_percent": (100 * history["error"]).tolist(),
        },
    }


def probing(seeds=5):
    """PPO and Probing at equal environment steps on Brock and Mirman's model."""
    for method, candidates in CANDIDATES.items():
        errors = search(method, candidates)
        best = min(errors, key=errors.get)
        found = {"settings": best, "changes": candidates[best], "search": errors}
        yield f"{method}, best", row(method, candidates[best], range(seeds)) | found
    yield "Probing, best, own shocks", row("Probing", candidates[best] | OWN_SHOCKS, range(seeds))


def probing_smaller(seeds=5):
    """Probing on Brock and Mirman's model, after a second search, over smaller batches."""
    errors = search("Probing", SMALLER)
    best = min(errors, key=errors.get)
    found = {"settings": best, "changes": SMALLER[best], "search": errors}
    yield "Probing, second search", row("Probing", SMALLER[best], range(seeds)) | found


PARTS = {"probing": probing, "probing_smaller": probing_smaller}
