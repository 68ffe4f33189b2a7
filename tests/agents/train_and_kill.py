"""Child process of test_survival.py: train, be killed, go on; python train_and_kill.py JOBS, where
JOBS is a JSON list of [class, economy, file, steps]. Prints, for each, the iterations in its file
after each kill."""

import json
import os
import random
import signal
import sys
import time

# A child that is forked may not use GNU OpenMP, which numba would take first.
os.environ["NUMBA_THREADING_LAYER"] = "workqueue"

import torch
from conftest import Pair

import lectures_lib.agents
from lectures_lib.economies import Monopolist, Planner

KILLS = 3
ECONOMIES = {"Planner": Planner(2, 2), "Monopolist": Monopolist(), "Pair": Pair()}
delays = random.Random(0)


def train_and_kill(kind, economy, path, steps):
    kind, economy = getattr(lectures_lib.agents, kind), ECONOMIES[economy]
    reached = []
    for _ in range(KILLS):
        stored = os.stat(path).st_ino
        child = os.fork()
        if child == 0:
            agent = kind.load(path, economy, device="cpu")
            agent.learn(steps, checkpoint=path, checkpoint_every=1)
            os._exit(0)
        while os.stat(path).st_ino == stored:
            time.sleep(0.001)
        time.sleep(delays.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "training ended before it was killed"
        # At whatever moment it was killed, the file can be read.
        reached.append(kind.load(path, economy, device="cpu").iteration)
    return reached


if __name__ == "__main__":
    torch.set_num_threads(1)
    jobs = json.loads(sys.argv[1])
    print(json.dumps([train_and_kill(*job) for job in jobs]))
