"""Imports what every notebook imports, so that the forks of `grade_here` need not."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot  # noqa: E402
import otter.test_files  # noqa: E402
import quantecon  # noqa: E402, F401

import lectures_lib.agents.q_learning  # noqa: E402
import lectures_lib.evaluation  # noqa: E402
import lectures_lib.solvers  # noqa: E402, F401
