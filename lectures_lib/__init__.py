"""Economies, learners, solvers and measures of *Deep Reinforcement Learning in Macroeconomic
Models*."""

__version__ = "0.1.0"
