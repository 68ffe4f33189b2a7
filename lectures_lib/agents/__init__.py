"""Learners. They see observations, actions and rewards, never an economy's insides."""

from .analytic import Analytic, AnalyticConfig
from .base import Agent, History, NetworkPolicy, TrainingDiverged
from .ppo import PPO, ActorCriticConfig, PPOConfig
from .probing import Probing, ProbingConfig

__all__ = [
    "PPO",
    "ActorCriticConfig",
    "Agent",
    "Analytic",
    "AnalyticConfig",
    "History",
    "NetworkPolicy",
    "PPOConfig",
    "Probing",
    "ProbingConfig",
    "TrainingDiverged",
]
