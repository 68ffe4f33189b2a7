"""Imports and loads what notebooks need, so that the forks of `grade_here` need not.

Nothing here may start threads, as they do not survive a fork.
"""
# ruff: noqa: E402

import sys

import torch

#: As many as the environment allows, for the forks; here one, as the first loop on several would
#: start the others.
THREADS = torch.get_num_threads()
torch.set_num_threads(1)

# Checks of web addresses, for which jsonschema builds a grammar in every process: a second.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot
import otter.test_files  # noqa: F401
import quantecon
import scipy.optimize
import scipy.special
import scipy.stats  # noqa: F401

import lectures_lib.agents.q_learning
import lectures_lib.evaluation
import lectures_lib.solvers  # noqa: F401

# A chain and a decision problem, the smallest: numba loads what it has compiled for them. No tensor
# may be computed here, as PyTorch would start its threads.
chain = quantecon.MarkovChain([[0.5, 0.5], [0.5, 0.5]])
chain.stationary_distributions  # noqa: B018
quantecon.markov.DiscreteDP([0.0, 1.0], [[1.0], [1.0]], 0.5, [0, 0], [0, 1]).solve(
    method="policy_iteration"
)
