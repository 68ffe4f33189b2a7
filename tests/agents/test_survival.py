"""Training that is stored, interrupted, killed or diverges: nothing is lost (conftest.py)."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lectures_lib.agents import TrainingDiverged

N = 5  # iterations


def steps(agent, n=N):
    return n * agent.steps_per_iteration


def weights(agent):
    return [p.detach().clone() for p in agent.learners.parameters()]


# ---------------------------------------------------------------------- files
def test_a_stored_agent_goes_on_bit_for_bit(make, tmp_path, identical):
    economy = make.economy
    whole = make(economy, seeds=[1, 2])
    whole.learn(steps(whole), callback_every=1)

    first = make(economy, seeds=[1, 2])
    stop_after(first, 3)
    first.learn(steps(first), callback_every=1, checkpoint=tmp_path / "agent.pt")
    assert first.iteration == 3
    again = make.load(tmp_path / "agent.pt", economy)
    identical(again, first)
    assert again.config == whole.config and again.seeds == (1, 2) and again.runs == 2
    again.learn(steps(again), callback_every=1)
    identical(again, whole)
    assert again.history.steps == whole.history.steps
    assert again.history.records == whole.history.records


def stop_after(agent, n):
    """Ask for an interruption, as Ctrl-C does, while iteration n is running."""
    iterate = agent.iterate

    def interrupted():
        if agent.iteration == n - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return iterate()

    agent.iterate = interrupted


def test_a_single_run_stays_single_in_its_file(make, tmp_path, identical):
    agent = make(seed=5)
    agent.learn(steps(agent, 2))
    agent.save(tmp_path / "new folder" / "agent.pt")
    again = make.load(tmp_path / "new folder" / "agent.pt")
    identical(again, agent)
    assert again.runs is None and again.seeds == (5,)


# ---------------------------------------------------------------------- interruption
def test_ctrl_c_ends_after_the_iteration_in_hand_and_learning_goes_on(make, identical):
    whole, stopped = make(), make()
    whole.learn(steps(whole))
    handler = signal.getsignal(signal.SIGINT)
    stop_after(stopped, 3)
    stopped.learn(steps(stopped))
    assert stopped.iteration == 3 and signal.getsignal(signal.SIGINT) is handler
    stopped.learn(steps(stopped))
    identical(stopped, whole)


def test_ctrl_c_in_a_callback_loses_nothing(make_ppo, tmp_path, identical):
    agent = make_ppo()

    def callback(agent):
        if agent.iteration == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return {}

    agent.learn(steps(agent), callback=callback, callback_every=1, checkpoint=tmp_path / "a.pt")
    assert 2 <= agent.iteration < N
    identical(make_ppo.load(tmp_path / "a.pt"), agent)


def test_learning_what_is_already_learned_changes_nothing(make_ppo, identical):
    agent, same = make_ppo(), make_ppo()
    agent.learn(steps(agent))
    same.learn(steps(same))
    same.learn(steps(same))
    identical(agent, same)


# ---------------------------------------------------------------------- SIGKILL
@pytest.mark.learning
def test_killing_at_any_moment_and_resuming_changes_nothing(tmp_path, agents, identical):
    """A child process trains, storing after each iteration, and is killed some milliseconds
    after its file has changed, several times over; then training goes on here."""
    n = 300
    paths = {name: tmp_path / f"{i}.pt" for i, name in enumerate(agents)}
    for name, make in agents.items():
        make(seeds=[1, 2]).save(paths[name])  # the settings travel in the file
    jobs = [
        [make.kind.__name__, type(make.economy).__name__, str(paths[name]), steps(make(), n)]
        for name, make in agents.items()
    ]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("train_and_kill.py"), json.dumps(jobs)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for (name, make), reached in zip(agents.items(), json.loads(done.stdout), strict=True):
        assert len(reached) == 3 and 0 < reached[0] < reached[1] < reached[2] < n
        again, whole = make.load(paths[name]), make(seeds=[1, 2])
        assert again.iteration == reached[2]
        for agent in (again, whole):
            stop_after(agent, reached[2] + 3)
            agent.learn(steps(agent, n))
        identical(again, whole)


# ---------------------------------------------------------------------- divergence
def poison(agent, at, run):
    """Make one weight of one run a NaN after iteration `at`."""
    iterate = agent.iterate

    def poisoned():
        metrics = iterate()
        if agent.iteration == at:
            with torch.no_grad():
                agent.learners["planner"].actor.weights[0][run, 0, 0] = math.nan
        return metrics

    agent.iterate = poisoned


def test_a_nan_stops_training_at_the_last_good_weights(make_actor_critic, monkeypatch, identical):
    make = make_actor_critic
    monkeypatch.setattr("lectures_lib.agents.base.ITERATIONS_BETWEEN_CHECKS", 4)
    good = make(seeds=[4, 7])
    stop_after(good, 4)
    good.learn(steps(good, 9))
    agent = make(seeds=[4, 7])
    poison(agent, at=6, run=1)
    with pytest.raises(TrainingDiverged, match=r"seeds \[7\].*back at iteration 4"):
        agent.learn(steps(agent, 9))
    assert agent.iteration == 4 and agent.steps == good.steps
    identical(agent, good)
    assert all(torch.isfinite(w).all() for w in weights(agent))
    action = agent.policy(make.economy.reset((2, 3), torch.Generator()))["planner"]
    assert torch.isfinite(action).all()


def test_an_absurd_learning_rate_is_noticed(make_actor_critic):
    make = make_actor_critic
    absurd = vars(make.config) | {"policy_rate": 1e38, "critic_rate": 1e38}
    if absurd.get("optimizer") == "gauss-newton":
        with pytest.raises(ValueError, match=r"policy_rate=1e\+38: expected at most 1"):
            type(make.config)(**absurd)
        return
    agent = make(seed=4, config=type(make.config)(**absurd))
    with pytest.raises(TrainingDiverged, match=r"\(seeds \[4\]\).*lower the learning rates"):
        agent.learn(steps(agent, 6))
    assert all(torch.isfinite(w).all() for w in weights(agent))


def test_weights_that_are_not_finite_are_never_stored(make_ppo, tmp_path):
    agent = make_ppo()
    poison(agent, at=3, run=0)
    path = tmp_path / "agent.pt"
    with pytest.raises(TrainingDiverged):
        agent.learn(steps(agent, 6), checkpoint=path, checkpoint_every=1)
    again = make_ppo.load(path)
    assert again.iteration == 3 and all(torch.isfinite(w).all() for w in weights(again))
