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
import numpy as np
import otter.test_files  # noqa: F401
import quantecon  # noqa: F401
import scipy.optimize
import scipy.special
import scipy.stats  # noqa: F401

import lectures_lib.agents.q_learning
import lectures_lib.solvers  # noqa: F401
from lectures_lib.economies import Bertrand
from lectures_lib.evaluation import departure_gains

# A smallest game, solved: numba looks up what it has compiled for chains and decision problems.
departure_gains(Bertrand(n_prices=2).tables(), np.zeros((4, 2), dtype=int))
