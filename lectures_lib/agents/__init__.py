"""Learners. They see observations, actions and rewards, never an economy's insides."""

from .actor_critic import ActorCriticConfig
from .analytic import Analytic, AnalyticConfig
from .base import Agent, History, NetworkPolicy, TrainingDiverged
from .ppo import PPO, PPOConfig
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
