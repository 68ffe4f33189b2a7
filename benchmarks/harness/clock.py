"""Seconds of one processor core, which other work on the machine does not shorten."""

import time


def timed(function, *arguments, **keywords):
    """What a call returns, and the processor seconds that it took."""
    started = time.process_time()
    result = function(*arguments, **keywords)
    return result, time.process_time() - started


def seconds_per_iteration(agent) -> float:
    """Processor seconds of an iteration of an agent that has not learned yet.

    The fastest of some blocks, because a busy machine makes a processor slower.
    """
    done, blocks = 2 * agent.config.warm_up + 1, []
    agent.learn(done * agent.steps_per_iteration)
    for _ in range(5):
        done += 12
        _, seconds = timed(agent.learn, done * agent.steps_per_iteration)
        blocks.append(seconds / 12)
    return min(blocks)
