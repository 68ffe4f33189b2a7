"""Imports what every notebook imports, so that the forks of `grade_here` need not."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot
import otter.test_files  # noqa: F401
import quantecon  # noqa: F401

import lectures_lib.agents.q_learning
import lectures_lib.evaluation
import lectures_lib.solvers  # noqa: F401
