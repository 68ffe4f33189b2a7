"""Child process of test_distributed.py: torchrun --nproc-per-node 2 learn_together.py FOLDER.

Whatever several processes do together happens in one start of torchrun, because starting takes
longer than learning. Each process writes what it has found to FOLDER, a file for each rank.
"""

import math
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from lectures_lib import agents
from lectures_lib.agents import PPO, Analytic, AnalyticConfig, PPOConfig, Probing, ProbingConfig
from lectures_lib.distributed import joined
from lectures_lib.economies import Market, Planner, PostedPrice, TradingPost

SMALL = {"groups": 4, "replicates": 4, "horizon": 4, "hidden": (8,), "warm_up": 1}
#: Every statistic over groups enters in one of them: levels and sizes of advantages, scales of
#: inputs, of what critics see and of rewards, with and without states that are scattered.
CASES = {
    "PPO, planner": (PPO, Planner(2), PPOConfig(**SMALL)),
    "PPO, market": (PPO, Market(2), PPOConfig(**SMALL, paired_starts=True)),
    "PPO, trading post": (PPO, TradingPost(2), PPOConfig(**SMALL)),
    "ordinary PPO, planner": (PPO, Planner(2), PPOConfig.ordinary(**SMALL)),
    "ordinary PPO, trading post": (PPO, TradingPost(2), PPOConfig.ordinary(**SMALL)),
    "Probing, planner": (Probing, Planner(2), ProbingConfig(**SMALL)),
    "Probing, posted prices": (
        Probing,
        PostedPrice(2),
        ProbingConfig(**SMALL, tremble=0.1, central_critic=True),
    ),
    "Analytic, planner": (Analytic, Planner(2), AnalyticConfig(**SMALL)),
}
ITERATIONS = 4


@dataclass(frozen=True)
class Fragile(Planner):
    """A planner who is paid no number when somebody owns more than a bound."""

    bound: float = math.inf

    def step(self, state, actions, shocks):
        """A period."""
        step = super().step(state, actions, shocks)
        LARGEST.append(state.capital.max())
        broken = (state.capital > self.bound).any(-1)
        rewards = {name: torch.where(broken, math.nan, x) for name, x in step.rewards.items()}
        return step._replace(rewards=rewards)


LARGEST: list[torch.Tensor] = []


def made(name, seeds=(18, 19)):
    """A new agent of a case."""
    kind, economy, config = CASES[name]
    return kind(economy, seeds=seeds, config=config, device="cpu")


def learn(agent, iterations=ITERATIONS, **options):
    """Let an agent learn until so many iterations have been done; returns it."""
    agent.learn(iterations * agent.steps_per_iteration, **options)
    return agent


def outcome(agent):
    """All that learning changes but times, and what was recorded."""
    state = agent._state()
    return {"history": agent.history.records} | {
        name: state[name] for name in ("iteration", "steps", "streams", "parts")
    }


def message(act):
    """What an error says."""
    try:
        act()
    except (ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def stored(folder):
    """An agent that is stored in the middle and goes on, and one that is read from its file."""
    path = folder / "agent.pt"
    agent = learn(made("PPO, market"), 2)
    agent.save(path)
    read = PPO.load(path, agent.economy, device="cpu")
    return [outcome(learn(x)) for x in (agent, read)]


def diverged(processes):
    """What is said where an economy breaks in the groups of one process."""
    config = PPOConfig(**SMALL)
    learn(PPO(Fragile(), seed=0, config=config, device="cpu"), 2)
    mine = torch.stack(LARGEST).max()
    bound = processes.mean(mine).item()
    agent = PPO(Fragile(bound=bound), seed=0, config=config, device="cpu")
    said = message(lambda: learn(agent, 2))
    return {
        "said": said,
        "breaks here": bool(mine > bound),
        "groups": agent.world.state.capital.shape[1],
        "after": outcome(agent),
        "before": outcome(PPO(Fragile(bound=bound), seed=0, config=config, device="cpu")),
    }


def interrupted(processes):
    """The iteration at which all stop after the last process alone was interrupted."""
    agent = made("PPO, planner")

    def interrupt(agent):
        if processes.rank == processes.count - 1 and agent.iteration == 2:
            os.kill(os.getpid(), signal.SIGINT)

    return learn(agent, 50, callback=interrupt, callback_every=1).iteration


def refused(processes):
    """What is said of that which cannot be."""
    rank, planner = processes.rank, Planner()
    three = PPOConfig(**SMALL | {"groups": 3})
    return {
        "groups": message(lambda: PPO(planner, config=three, device="cpu")),
        "kind": message(lambda: agents.SAC(planner, device="cpu")),
        "seeds": message(lambda: learn(made("PPO, planner", seeds=[rank]))),
        "callback": message(lambda: learn(made("PPO, planner"), callback_every=1 + rank)),
    }


def main(folder):
    """Everything, in order."""
    torch.set_num_threads(1)
    with joined(timeout=120) as processes:
        found = {
            "count": processes.count,
            "cases": {name: outcome(learn(made(name), callback_every=2)) for name in CASES},
            "stored": stored(folder),
            "diverged": diverged(processes),
            "interrupted": interrupted(processes),
            "refused": refused(processes),
        }
        torch.save(found, folder / f"{processes.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
