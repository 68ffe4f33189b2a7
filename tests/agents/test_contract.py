"""What every agent keeps while it learns: one set of tests over all of them (conftest.py)."""

import inspect

import numpy as np
import pytest
import torch

import lectures_lib.agents as agents
from lectures_lib.agents import Agent
from lectures_lib.economies import Market, Planner, map_state


def states(economy, batch=(16,), dtype=torch.float32):
    return economy.reset(batch, torch.Generator().manual_seed(9), dtype)


def act(policy, economy, batch=(16,)):
    """The actions of all roles in one tensor (*batch, all actions)."""
    actions = policy(states(economy, batch))
    return torch.cat([actions[name].flatten(-2) for name in economy.roles], -1)


def rewards(economy):
    """Names of what every agent records: the reward of each role that learns."""
    return [f"{name} reward" for name, role in economy.roles.items() if role.follows is None]


def iterations(agent, n):
    return n * agent.steps_per_iteration


def test_every_public_agent_is_registered(agent_kinds):
    public = [getattr(agents, name) for name in agents.__all__]
    concrete = {
        x
        for x in public
        if inspect.isclass(x) and issubclass(x, Agent) and not inspect.isabstract(x)
    }
    assert concrete == agent_kinds


def test_learning_changes_the_policy_and_is_recorded(make, economy, device):
    agent = make(economy, device=device, seeds=[1, 2])
    before = act(agent.policy, economy, (2, 16))
    history = agent.learn(iterations(agent, 4), callback_every=2)
    after = act(agent.policy, economy, (2, 16))
    assert torch.isfinite(after).all()
    assert (after != before).flatten(1).any(1).all(), "each run has moved"
    assert not torch.equal(after[0], after[1]), "seeds differ"
    one = agent.steps_per_iteration
    assert history is agent.history and history.steps == [2 * one, 4 * one]
    assert list(history.records) == rewards(economy)
    for name in rewards(economy):
        assert history[name].shape == (2, 2) and np.isfinite(history[name]).all()
    assert agent.steps == 4 * one and agent.iteration == 4
    assert 0 < history.seconds[0] < history.seconds[1]
    with pytest.raises(KeyError, match="'loss' was not recorded"):
        history["loss"]


def test_the_first_policy_is_neutral(make, economy):
    actions = make(economy).policy(states(economy))
    for name, role in economy.roles.items():
        if make.picks:  # from a list, in which no choice comes first
            assert torch.isin(actions[name], torch.tensor(role.choices)).all()
            continue
        middle = role.to_physical(torch.zeros(role.n_agents, role.n_actions))
        if isinstance(economy, Planner | Market):
            torch.testing.assert_close(middle, torch.full_like(middle, 1 / (economy.n_goods + 1)))
        # Weights of the last layer are a hundredth of the usual: raw outputs of a few hundredths.
        middle = middle.expand_as(actions[name])
        torch.testing.assert_close(actions[name], middle, rtol=0, atol=0.02)


def test_a_seed_reproduces_bit_for_bit(make, economy, device, identical):
    a, b, other = (make(economy, device=device, seed=s) for s in (3, 3, 4))
    for agent in (a, b, other):
        agent.learn(iterations(agent, 3))
    identical(a, b)
    assert a.history.records == b.history.records
    assert not torch.equal(act(a.policy, economy), act(other.policy, economy))


def test_a_runs_result_does_not_depend_on_its_neighbours(make, economy):
    alone, beside = make(economy, seeds=[3]), make(economy, seeds=[1, 3])
    for agent in (alone, beside):
        agent.learn(iterations(agent, 4))
    one, other = act(alone.policy[0], economy), act(beside.policy[1], economy)
    # Sums in batched products are taken in another order: float32 rounding, some iterations on.
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(one, act(beside.policy[0], economy), rtol=1e-4, atol=1e-5)
    for name in rewards(economy):
        torch.testing.assert_close(
            alone.history[name][:, 0], beside.history[name][:, 1], rtol=1e-5, atol=1e-5
        )


def test_one_seed_is_the_same_as_a_list_of_one(make):
    economy = make.economy
    single, listed = make(economy, seed=3), make(economy, seeds=[3])
    for agent in (single, listed):
        agent.learn(iterations(agent, 4))
    assert single.policy.runs is None and listed.policy.runs == 1
    assert torch.equal(act(single.policy, economy), act(listed.policy, economy, (1, 16))[0])


# ---------------------------------------------------------------------- policies
def test_a_policy_is_a_copy_that_further_learning_leaves_alone(make):
    economy = make.economy
    agent = make(economy)
    policy = agent.policy
    before = act(policy, economy)
    agent.learn(iterations(agent, 3))
    assert torch.equal(act(policy, economy), before)
    assert not torch.equal(act(agent.policy, economy), before)
    assert not act(agent.policy, economy).requires_grad


def test_one_run_of_a_policy_is_its_row_of_the_whole(make):
    economy = make.economy
    agent = make(economy, seeds=range(3))
    agent.learn(iterations(agent, 4))
    state = states(economy)
    (name,) = economy.roles
    together = agent.policy(map_state(lambda x: x.expand(3, *x.shape), state))[name]
    for run in (0, 2, -1, -3):
        torch.testing.assert_close(agent.policy[run](state)[name], together[run])
    assert not torch.allclose(together[0], together[1])


def test_policies_take_any_batch_and_keep_its_type(make, economy, device):
    policy = make(economy, device=device).policy
    for batch in [(), (5,), (2, 3, 4)]:
        for dtype in (torch.float32, torch.float64):
            actions = policy(states(economy, batch, dtype))
            assert actions.keys() == economy.roles.keys()
            for name, role in economy.roles.items():
                assert actions[name].shape == (*batch, role.n_agents, role.n_actions)
                assert actions[name].dtype == dtype and actions[name].device.type == "cpu"


def test_actions_that_have_been_taken_are_left_alone(make, economy):
    policy = make(economy).policy
    state = states(economy)
    before = policy(state)
    for name in economy.roles:
        taken = before[name] * 0.5
        after = policy(state, {name: taken})
        assert after[name] is taken
        assert all(torch.equal(after[n], before[n]) for n in economy.roles if n != name)


def test_a_wrong_runs_dimension_is_refused(make):
    policy = make(seeds=range(3)).policy
    with pytest.raises(ValueError, match=r"3 runs.*got \(16, 1\)|3 runs.*got \(16,\)"):
        policy(states(make.economy))
    for run in (3, -4):
        with pytest.raises(IndexError, match=rf"no run {run}: this policy has 3"):
            policy[run]
    with pytest.raises(IndexError, match="only one"):
        make().policy[0]


# ---------------------------------------------------------------------- what is refused
def test_bad_arguments_are_refused(make):
    with pytest.raises(ValueError, match=r"either seed .* or seeds .* not both"):
        make(seed=1, seeds=[1, 2])
    with pytest.raises(ValueError, match="seeds is empty"):
        make(seeds=[])
    with pytest.raises(TypeError, match="expected an Economy"):
        make.kind("Planner")
    with pytest.raises(TypeError, match=rf"config is a dict; {make.kind.__name__} needs a"):
        make(config={})


def test_another_agents_config_is_refused(make):
    other = agents.ProbingConfig if make.kind is not agents.Probing else agents.PPOConfig
    with pytest.raises(TypeError, match=f"config is a {other.__name__}.*Config"):
        make(config=other())


def test_less_than_one_iteration_is_refused(make):
    agent = make()
    n = agent.steps_per_iteration
    with pytest.raises(ValueError, match=f"steps={n - 1}: one iteration .* takes {n:,} steps"):
        agent.learn(n - 1)


def test_numbers_of_learning_are_whole(make):
    agent = make()
    n = agent.steps_per_iteration
    for wrong in (n + 0.5, -n, 0, float("nan"), float("inf"), True, str(n)):
        with pytest.raises(ValueError, match=r"^steps=.*expected a"):
            agent.learn(wrong)
    for name in ("callback_every", "checkpoint_every"):
        for wrong in (0, -1, 1.5):
            with pytest.raises(ValueError, match=f"^{name}=.*expected a whole number"):
                agent.learn(n, **{name: wrong})
    assert agent.steps == 0
    assert agent.learn(np.int64(n)).steps == [n]
    assert agent.learn(2.0 * n).steps == [n, 2 * n]


def test_a_callback_returns_numbers_by_name_or_nothing(make):
    agent = make()
    n = agent.steps_per_iteration
    with pytest.raises(TypeError, match="callback=3: expected a function of the agent"):
        agent.learn(n, callback=3)
    assert agent.steps == 0
    agent.learn(n, callback=lambda agent: None)
    assert list(agent.history.records) == rewards(make.economy)
    with pytest.raises(TypeError, match=r"callback returned 0\.5: expected a dictionary"):
        agent.learn(2 * n, callback=lambda agent: 0.5)


def test_a_folder_is_no_file_and_is_told_before_the_work_begins(make, tmp_path):
    agent = make()
    for attempt in (agent.save, lambda path: agent.learn(10**9, checkpoint=path)):
        with pytest.raises(IsADirectoryError, match=r"is a folder: name a file in it.*agent\.pt"):
            attempt(tmp_path)
    assert agent.steps == 0


def test_what_is_no_state_is_refused_by_policies(make):
    policy, economy = make().policy, make.economy
    state = states(economy)
    field, index = economy.fields.moved_by("choice")[0], list(economy.fields)[-1]
    listed = state._replace(**{field: getattr(state, field).tolist()})
    array = state._replace(**{field: getattr(state, field).numpy()})
    for wrong in (listed, array, [1.0], torch.ones(16, 1, 1)):
        with pytest.raises(TypeError, match=f"expected a state of {type(economy).__name__}"):
            policy(wrong)
    for name, dtype in [(field, torch.int64), (index, torch.float32)]:
        wrong = state._replace(**{name: getattr(state, name).to(dtype)})
        with pytest.raises(ValueError, match=f"state.{name} is {dtype}: expected"):
            policy(wrong)
    with pytest.raises(ValueError, match=rf"state\.{field} has shape"):
        policy(state._replace(**{field: torch.cat([getattr(state, field)] * 3, -1)}))


def test_a_run_is_named_by_a_whole_number(make):
    policy = make(seeds=[1, 2]).policy
    for wrong in (0.5, slice(0, 1), "0"):
        with pytest.raises(ValueError, match=r"^run=.*expected a whole number"):
            policy[wrong]
    state = states(make.economy)
    (name,) = make.economy.roles
    assert torch.equal(policy[np.int64(1)](state)[name], policy[1](state)[name])


def test_networks_are_taken_from_agents_and_to_economies(make_actor_critic):
    agent = make_actor_critic()
    with pytest.raises(TypeError, match="other is a NetworkPolicy: expected an agent"):
        agent.start_from(agent.policy)
    with pytest.raises(TypeError, match="expected an Economy"):
        agent.policy.on(Planner)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused(make, tmp_path):
    with pytest.raises(ValueError, match="needs a CUDA GPU"):
        make(device="cuda")
    make().save(tmp_path / "agent.pt")
    with pytest.raises(ValueError, match="needs a CUDA GPU"):
        make.load(tmp_path / "agent.pt", device="cuda")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("replicates", 3),
        ("replicates", 0),
        ("groups", 0),
        ("groups", 2.5),
        ("horizon", 0),
        ("horizon", True),
        ("critic_epochs", -1),
        ("steps", -5),
        ("lam", 1.5),
        ("average", 2.0),
        ("restart", -0.1),
        ("final_rate", 1.1),
        ("policy_rate", float("nan")),
        ("critic_rate", float("inf")),
        ("critic_rate", "fast"),
        ("hidden", (8, 0)),
    ],
)
def test_a_bad_setting_is_named(make_actor_critic, name, value):
    with pytest.raises(ValueError, match=f"^{name}=.*expected"):
        make_actor_critic.kind.config_class(**{name: value})


@pytest.mark.parametrize("config_class", [agents.PPOConfig, agents.ProbingConfig])
@pytest.mark.parametrize("noise", [(0.0, 0.1), (0.1,), (0.1, -0.1), (0.1, float("nan"))])
def test_exploration_must_be_two_positive_numbers(config_class, noise):
    with pytest.raises(ValueError, match=r"^noise=.*two positive numbers"):
        config_class(noise=noise)
