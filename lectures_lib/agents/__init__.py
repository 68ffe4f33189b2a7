"""Learners. They see observations, actions and rewards, never an economy's insides."""

from .actor_critic import ActorCritic, ActorCriticConfig
from .analytic import Analytic, AnalyticConfig
from .base import Agent, History, NetworkPolicy, TrainingDiverged
from .ppo import PPO, PPOConfig
from .probing import Probing, ProbingConfig

__all__ = [
    "PPO",
    "ActorCritic",
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
