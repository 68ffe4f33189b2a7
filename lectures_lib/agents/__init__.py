"""Learners. They see observations, actions and rewards, never an economy's insides."""

from .actor_critic import ActorCritic
from .analytic import Analytic, AnalyticConfig
from .base import Agent, TrainingDiverged
from .config import ActorCriticConfig
from .dqn import DQN, DQNConfig
from .history import History
from .impala import IMPALA, IMPALAConfig
from .network_agent import NetworkAgent
from .policy import NetworkPolicy
from .ppo import PPO, PPOConfig
from .probing import Probing, ProbingConfig
from .q_learning import QLearning, QLearningConfig
from .q_network import GreedyPolicy
from .qmix import QMIX, VDN, QMIXConfig, VDNConfig
from .replay import Replay
from .sac import SAC, SACConfig
from .table_policy import TablePolicy
from .watched import NotFinite

__all__ = [
    "DQN",
    "IMPALA",
    "PPO",
    "QMIX",
    "SAC",
    "VDN",
    "ActorCritic",
    "ActorCriticConfig",
    "Agent",
    "Analytic",
    "AnalyticConfig",
    "DQNConfig",
    "GreedyPolicy",
    "History",
    "IMPALAConfig",
    "NetworkAgent",
    "NetworkPolicy",
    "NotFinite",
    "PPOConfig",
    "Probing",
    "ProbingConfig",
    "QLearning",
    "QLearningConfig",
    "QMIXConfig",
    "Replay",
    "SACConfig",
    "TablePolicy",
    "TrainingDiverged",
    "VDNConfig",
]
