"""Agents' files: what they hold, and what is said of those that cannot be read (conftest.py)."""

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, fields

import numpy as np
import pytest
import torch
from registry import from_elsewhere

import lectures_lib
from lectures_lib.agents import PPO, Analytic, PPOConfig, Probing
from lectures_lib.agents.files import FORMAT
from lectures_lib.economies import Alone, BrockMirman, FixedAction, Market, Planner
from lectures_lib.markov import MarkovChain


def learned(make, iterations=2, **options):
    agent = make(**options)
    agent.learn(iterations * agent.steps_per_iteration)
    return agent


@pytest.fixture
def path(make, tmp_path):
    """A file of the agent at hand."""
    make().save(tmp_path / "agent.pt")
    return tmp_path / "agent.pt"


def rewrite(path, change):
    """Change what is in a file."""
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


# ---------------------------------------------------------------------- what comes back
def elsewhere(parameters):
    return type(parameters)(
        **{f.name: from_elsewhere(getattr(parameters, f.name)) for f in fields(parameters)}
    )


def test_numbers_from_elsewhere_change_nothing(make, tmp_path, identical):
    config, economy = elsewhere(make.config), elsewhere(make.economy)
    half = make(economy, config=config, seed=np.int64(0))
    plain, one = make(), half.steps_per_iteration
    assert repr((half.config, half.economy)) == repr((make.config, make.economy))
    half.learn(np.int64(2 * one), checkpoint=tmp_path / "agent.pt")
    again = make.load(tmp_path / "agent.pt", make.economy)
    identical(again, half)
    plain.learn(2 * one)
    for agent in (plain, again):
        agent.learn(4 * one)
    identical(again, plain)
    assert again.history.records == plain.history.records


def test_a_learning_rate_of_numpys_comes_back(tmp_path):
    rate = np.geomspace(1e-3, 1e-2, 3)[0]
    config = PPOConfig(policy_rate=rate, groups=2, replicates=2, horizon=2, hidden=(4,))
    agent = PPO(Planner(), config=config, device="cpu")
    agent.learn(16)
    agent.save(tmp_path / "agent.pt")
    assert PPO.load(tmp_path / "agent.pt", Planner(), device="cpu").config == config


def test_economies_are_compared_by_value(make_ppo, tmp_path):
    make, path = make_ppo, tmp_path / "agent.pt"
    chain = MarkovChain.symmetric([np.float32(0.5), 1.5], stay=0.75)
    make(Planner(2, risk_aversion=2, aggregate=chain)).save(path)
    same = MarkovChain((0.5, 1.5), np.array([[0.75, 0.25], [0.25, 0.75]]))
    again = make.load(path, Planner(np.int64(2), risk_aversion=2.0, aggregate=same))
    assert again.policy.economy.n_households == 2


@dataclass(frozen=True)
class Taxed(Planner):
    """A reader's economy, whose check calls no other."""

    tax: float = 0.0
    brackets: tuple[float, ...] = ()

    def __post_init__(self):
        assert 0 <= self.tax < 1


def test_a_readers_economy_comes_back_by_value(make_ppo, tmp_path, identical):
    make, path = make_ppo, tmp_path / "agent.pt"
    agent = make(Taxed(2, tax=np.float32(0.25), brackets=np.array([1, 2])))
    agent.save(path)
    identical(make.load(path, Taxed(np.int64(2), tax=0.25, brackets=[1.0, 2.0])), agent)
    with pytest.raises(ValueError, match=r"economy\.tax is 0\.25 in the file and 0\.5 here"):
        make.load(path, Taxed(2, tax=0.5, brackets=(1, 2)))
    with pytest.raises(ValueError, match="economy is Taxed in the file and Planner here"):
        make.load(path, Planner(2))


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(make_ppo, tmp_path, monkeypatch):
    path = tmp_path / "agent.pt"
    agent = make_ppo()
    agent.save(path)
    before = path.read_bytes()

    def full(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        agent.save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["agent.pt"]


def test_what_could_not_be_read_again_is_not_written(make_ppo, tmp_path):
    agent = make_ppo()
    for value in (np.float64(3), np.zeros(2), object()):
        agent.history.records = {"gain": [[0.5, value]]}
        with pytest.raises(TypeError, match=rf"\['gain'\]\[0\]\[1\] is a {type(value).__name__}"):
            agent.save(tmp_path / "agent.pt")
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------------- policies of the others
class Constant:
    """A rule whose `repr` does not say what it does."""

    def __init__(self, share):
        self.share = share

    def __repr__(self):
        return "a rule"

    def __call__(self, state, moved=None):
        return {"household": torch.full_like(state.capital, self.share)} | dict(moved or {})


def test_an_agent_among_others_comes_back_with_a_policy_that_does_the_same(
    make_ppo, tmp_path, identical
):
    market, others, path = Market(2), tmp_path / "others.pt", tmp_path / "agent.pt"
    learned(make_ppo, economy=market).save(others)
    policies = [make_ppo.load(others, market).policy for _ in range(2)]
    agent = learned(make_ppo, economy=Alone(market, policies[0]))
    agent.save(path)
    identical(make_ppo.load(path, Alone(market, policies[1])), agent)
    # What it does and not what it is called; rounding is another machine's.
    identical(make_ppo.load(path, Alone(market, lambda *x: rounded(policies[1](*x)))), agent)
    with pytest.raises(ValueError, match=r"economy\.policy\.household acts otherwise in the file"):
        make_ppo.load(path, Alone(market, learned(make_ppo, 3, economy=market).policy))
    with pytest.raises(ValueError, match=r"economy\.economy\.beta is .*\n.*\nMake the economy"):
        make_ppo.load(path, Alone(Market(2, beta=0.97), policies[1]))
    with pytest.raises(
        ValueError, match=r"household acts in the shape \(2, 1\) in the file and \(3, 1"
    ):
        make_ppo.load(path, Alone(Market(3), policies[1].on(Market(3))))
    with pytest.raises(ValueError, match=r"economy\.agent is 0 in the file and 1 here"):
        make_ppo.load(path, Alone(market, policies[1], agent=1))


def rounded(actions):
    return {name: x * (1 + 1e-6) for name, x in actions.items()}


def test_rules_that_look_alike_are_told_apart(make_ppo, tmp_path, identical):
    market, path = Market(2), tmp_path / "agent.pt"
    agent = learned(make_ppo, economy=Alone(market, Constant(0.1)))
    agent.save(path)
    identical(make_ppo.load(path, Alone(market, FixedAction(market, 0.1))), agent)
    for other in (Constant(0.11), FixedAction(market, 0.09)):
        with pytest.raises(
            ValueError, match=r"acts otherwise in the file than here, by up to 0\.0"
        ):
            make_ppo.load(path, Alone(market, other))
    assert repr(FixedAction(market, 0.1)) == f"FixedAction({market!r}, 0.1)"
    inner = Alone(Alone(market, Constant(0.1)), FixedAction(Alone(market, Constant(0.1)), 0.2))
    agent = make_ppo(inner)
    agent.save(path)
    identical(make_ppo.load(path, inner), agent)
    other = Alone(Alone(market, Constant(0.3)), inner.policy)
    with pytest.raises(ValueError, match=r"economy\.economy\.policy\.household acts otherwise"):
        make_ppo.load(path, other)


def test_a_policy_told_by_its_repr_is_not_taken_for_another(make_ppo, tmp_path):
    """As files told it before policies were described by what they do."""
    economy, path = Alone(Market(2), Constant(0.1)), tmp_path / "agent.pt"
    make_ppo(economy).save(path)
    rewrite(path, lambda content: content["economy"].update(policy="a rule"))
    with pytest.raises(
        ValueError, match=r"policy is 'a rule' in the file and a policy, told by it"
    ):
        make_ppo.load(path, economy)


@dataclass(frozen=True)
class Listed(Planner):
    """A reader's economy with a rule and a table of its own."""

    rule: Callable = round
    table: dict = field(default_factory=dict)


def test_rules_and_tables_of_a_readers_economy_are_compared_by_content(make_ppo, tmp_path):
    path = tmp_path / "agent.pt"
    make_ppo(Listed(2, rule=lambda x: x + 1, table={"a": 1})).save(path)
    make_ppo.load(path, Listed(2, rule=lambda x: x + 1, table={"a": 1}))
    with pytest.raises(ValueError, match=r"economy\.rule\.code is"):
        make_ppo.load(path, Listed(2, rule=lambda x: x + 2, table={"a": 1}))
    with pytest.raises(ValueError, match=r"economy\.table\.a is 1 in the file and 2 here"):
        make_ppo.load(path, Listed(2, rule=lambda x: x + 1, table={"a": 2}))


# ---------------------------------------------------------------------- files that are not ours
def test_what_is_no_file_of_ours_is_told(make, tmp_path):
    path, not_ours = tmp_path / "agent.pt", rf"not a file written by {make.kind.__name__}\.save"
    with pytest.raises(FileNotFoundError):
        make.load(path)
    with pytest.raises(IsADirectoryError):
        make.load(tmp_path)
    for content in (b"weights", b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=not_ours):
            make.load(path)
    for content in ({"weights": torch.zeros(3)}, [1, 2], {"agent": make.kind.__name__}):
        torch.save(content, path)
        with pytest.raises(ValueError, match=not_ours):
            make.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "weights")
    with pytest.raises(ValueError, match=rf"{not_ours}.*letter\.txt"):
        make.load(path)


def test_damage_is_noticed_anywhere_and_is_not_called_somebody_elses(make, path):
    whole = path.read_bytes()
    for end in (-1, -100, len(whole) // 2, 100):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match="damaged or incomplete") as error:
            make.load(path)
        assert isinstance(error.value.__cause__, zipfile.BadZipFile)
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive:
        places = [info.header_offset + 200 for info in archive.infolist() if info.file_size > 400]
    assert places
    for place in places:  # in what is stored, where torch itself would not notice
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="damaged or incomplete"):
            make.load(path)


def test_an_entry_that_passes_for_a_folder_is_damage(make_ppo, tmp_path):
    """One bit of the zip's list of contents, by which torch reads anything from memory."""
    path = tmp_path / "agent.pt"
    make_ppo().save(path)
    whole = bytearray(path.read_bytes())
    place = whole.index(b"PK\x01\x02", whole.index(b"data/0", whole.index(b"PK\x01\x02")))
    whole[place + 38] ^= 0x10
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="damaged or incomplete"):
        make_ppo.load(path)


@pytest.mark.parametrize("error", [MemoryError, torch.cuda.OutOfMemoryError])
def test_too_little_memory_is_not_laid_to_the_file(make_ppo, tmp_path, monkeypatch, error):
    path = tmp_path / "agent.pt"
    make_ppo().save(path)

    def full(*_, **__):
        raise error("out of memory")

    for owner, name in ((torch, "load"), (PPO, "_restore")):
        with monkeypatch.context() as patched, pytest.raises(error, match=r"^out of memory$"):
            patched.setattr(owner, name, full)
            make_ppo.load(path)


def test_the_cause_is_told_where_a_file_could_run_code(make, path):
    rewrite(path, lambda content: content["config"].update(steps=np.float64(3)))
    with pytest.raises(
        ValueError, match=r"(?s)could run code \(.*numpy.*scalar.*format 2"
    ) as error:
        make.load(path)
    assert error.value.__cause__ is not None and "not a file" not in str(error.value)


# ---------------------------------------------------------------------- files of something else
def test_another_class_is_told(make, path):
    name = make.kind.__name__
    for other in {PPO, Probing, Analytic} - {make.kind}:
        with pytest.raises(ValueError, match=rf"holds a {name}: load it with {name}\.load"):
            other.load(path, make.economy)


def test_the_parameters_that_differ_are_told_with_both_values(make, path):
    with pytest.raises(ValueError, match="another economy") as error:
        make.load(path, make.other)
    differing = [
        (f.name, *(getattr(e, f.name) for e in (make.economy, make.other)))
        for f in fields(make.economy)
        if getattr(make.economy, f.name) != getattr(make.other, f.name)
    ]
    ((name, there, here),) = differing
    told = [f"economy.{name} is {there} in the file and {here} here"]
    assert [line.strip() for line in str(error.value).splitlines()[1:-1]] == told
    with pytest.raises(TypeError, match="expected an Economy"):
        make.load(path, "Planner")


def test_another_kind_of_economy_and_another_chain_are_told(make_ppo, tmp_path):
    make, path = make_ppo, tmp_path / "agent.pt"
    make(Planner()).save(path)
    with pytest.raises(ValueError, match="economy is Planner in the file and BrockMirman here"):
        make.load(path, BrockMirman())
    chain = MarkovChain.symmetric((0.7, 1.2), stay=0.95)
    told = r"aggregate\.values is \(0\.8, 1\.2\) in the file and \(0\.7, 1\.2\) here"
    with pytest.raises(ValueError, match=told):
        make.load(path, Planner(aggregate=chain))


# ---------------------------------------------------------------------- files of other versions
def test_a_file_says_its_format_and_version(path, make):
    content = torch.load(path, weights_only=True)
    assert (content["format"], content["version"]) == (FORMAT, lectures_lib.__version__)


def test_a_file_of_format_1_is_read(make, path, identical):
    agent = learned(make)
    agent.save(path)

    def first_format(content):
        del content["format"], content["version"]
        content["economy"] = repr(make.economy)

    rewrite(path, first_format)
    identical(make.load(path), agent)
    with pytest.raises(ValueError, match="another economy"):
        make.load(path, make.other)


def test_format_1_may_tell_numbers_as_they_were_given(make_ppo, tmp_path):
    economy, path = Planner(2, risk_aversion=2), tmp_path / "agent.pt"
    make_ppo(economy).save(path)
    told = repr(economy).replace("risk_aversion=2.0", "risk_aversion=2")
    told = told.replace("phi=0.5", "phi=np.float64(0.5)")
    assert told != repr(economy)
    rewrite(path, lambda content: content.pop("format") and content.update(economy=told))
    make_ppo.load(path, economy)
    for other in (Planner(2, risk_aversion=2.5), Planner(12, risk_aversion=2)):
        with pytest.raises(ValueError, match="another economy"):
            make_ppo.load(path, other)


def test_a_later_format_is_refused_with_its_version(make, path):
    rewrite(path, lambda content: content.update(format=FORMAT + 1, version="7.0.0", agent="New"))
    words = rf"format {FORMAT + 1} .*lectures_lib 7\.0\.0; this is .*Install the version"
    with pytest.raises(ValueError, match=words):
        make.load(path)


def test_an_unknown_setting_is_told(make, path):
    rewrite(
        path, lambda content: content["config"].update(rebate=0.5) or content.update(version="7")
    )
    with pytest.raises(ValueError, match=r"Config does not know: rebate=0\.5.*lectures_lib 7"):
        make.load(path)


def test_a_missing_setting_is_told_and_never_guessed(make, path, identical):
    def older(content):
        del content["config"]["restart"]

    rewrite(path, older)
    with pytest.raises(ValueError, match=r"lacks settings of \w+: restart\..*settings=\{'restart'"):
        make.load(path)
    given = make.kind.load(path, make.economy, "cpu", settings={"restart": make.config.restart})
    assert given.config == make.config
    identical(given, make())
    for wrong in ({"restart": 0.1, "steps": 5}, {"restart": 0.1, "unknown": 5}):
        with pytest.raises(ValueError, match=rf"only what .* lacks, and not \['{[*wrong][1]}'\]"):
            make.kind.load(path, make.economy, "cpu", settings=wrong)


def test_a_setting_that_is_refused_today_is_told(make, path):
    rewrite(path, lambda content: content["config"].update(restart=7.0))
    with pytest.raises(ValueError, match=r"Config refuses: restart=7\.0: expected") as error:
        make.load(path)
    assert isinstance(error.value.__cause__, ValueError)


def test_a_parameter_that_one_side_does_not_know_is_told(make, path):
    rewrite(path, lambda content: content["economy"].update(tax=0.2))
    with pytest.raises(ValueError, match=r"economy\.tax is 0\.2 in the file and unknown here"):
        make.load(path)
    rewrite(path, lambda content: [content["economy"].pop(k) for k in ("tax", "beta")])
    with pytest.raises(ValueError, match=r"economy\.beta is 0\.9\d? here and unknown in the file"):
        make.load(path)


def test_what_does_not_fit_is_told(make, path):
    name = next(iter(torch.load(path, weights_only=True)["parts"]))
    whole = path.read_bytes()
    rewrite(path, lambda content: content["parts"].pop(name))
    with pytest.raises(ValueError, match=rf"does not fit .*: it lacks '{name}'.*learn anew"):
        make.load(path)
    path.write_bytes(whole)
    rewrite(path, lambda content: content["parts"].update({name: {"weights": torch.zeros(3)}}))
    with pytest.raises(ValueError, match="does not fit") as error:
        make.load(path)
    assert error.value.__cause__ is not None


def test_a_market_comes_back_too(make_ppo, tmp_path, identical):
    economy = Market(2, n_uninformed=np.int64(1), atomistic=np.True_)
    agent = make_ppo(economy)
    agent.save(tmp_path / "agent.pt")
    identical(
        make_ppo.load(tmp_path / "agent.pt", Market(2, n_uninformed=1, atomistic=True)), agent
    )
