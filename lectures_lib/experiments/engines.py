"""Where runs are made: in this process, in others of this computer, or as tasks of Ray.

An engine is a generator of pairs of a job and what has come of it, in any order. That is a
dictionary with ``result``, ``seconds`` and ``worker``, or one with ``error``.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

import numpy as np
import torch

from .jobs import Job, name_of, place

#: Variables from which libraries read, when they are imported, how many threads they may have.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Means:
    """What a sweep may use.

    Attributes
    ----------
    workers : int
    chosen : bool
        Whether the user has said how many workers.
    retries : int
    address : str or None
    options : dict
    """

    workers: int
    chosen: bool
    retries: int
    address: str | None
    options: dict[str, Any]


Outcomes = Generator[tuple[Job, dict[str, Any]], None, None]


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# ---------------------------------------------------------------------- a run
def call(run, keywords) -> dict[str, Any]:
    """What comes of a call."""
    threads, started = torch.get_num_threads(), time.perf_counter()
    torch.set_num_threads(1)
    try:
        result = in_json(run(**keywords))
    except (Exception, SystemExit) as error:
        return {"error": _text(error)}
    finally:
        torch.set_num_threads(threads)
    seconds = time.perf_counter() - started
    return {"result": result, "seconds": seconds, "worker": f"{socket.gethostname()}:{os.getpid()}"}


def call_packed(payload: bytes) -> dict[str, Any]:
    """What comes of a call that another process has sent, whose modules may be missing here."""
    try:
        run, keywords = pickle.loads(payload)
    except Exception as error:
        return {"error": _text(error)}
    return call(run, keywords)


def in_json(value, name: str = "the result"):
    """A value in what JSON can hold; a TypeError names the place of what it cannot."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [in_json(x, f"{name}[{i}]") for i, x in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{name} has the key {key!r}: expected strings, as in JSON.")
        return {key: in_json(x, f"{name}[{key!r}]") for key, x in value.items()}
    raise TypeError(
        f"{name} is a {type(value).__name__}: expected numbers, strings, None, tensors, arrays, or "
        "lists and dictionaries of them. Return the numbers that matter, and save what is larger "
        "to a file of its own."
    )


def _text(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()


def _lost(times: int) -> dict[str, str]:
    return {
        "error": f"lost: its process was killed (attempts: {times}), perhaps for want of memory"
    }


# ---------------------------------------------------------------------- in this process
def serial(run, jobs: list[Job], means: Means) -> Outcomes:
    """One after the other."""
    for job in jobs:
        yield job, call(run, job.keywords)


# ---------------------------------------------------------------------- in others
class Process:
    """A process that makes one run after the other; with a pool, one that dies breaks all."""

    def __init__(self):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,))
        with _one_thread():
            self.process.start()
        theirs.close()

    def send(self, payload: bytes) -> None:
        """Let it make a run."""
        # If it has been killed meanwhile, that shows when it should answer.
        with suppress(OSError):
            self.pipe.send_bytes(payload)

    def receive(self) -> dict | None:
        """What it has sent; None if it is dead."""
        with suppress(EOFError, OSError):
            if self.pipe.poll():
                return self.pipe.recv()
        return None

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe) -> None:
    # Whoever presses Ctrl-C means the sweep, which ends its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError):
        pipe.send({})
        while True:
            pipe.send(call_packed(pipe.recv_bytes()))


@contextmanager
def _one_thread():
    """Processes that are started meanwhile have one thread."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _ready(processes) -> list[Process]:
    """Those that have sent something or are dead, once there are some."""
    by_signal = {x: p for p in processes for x in (p.pipe, p.process.sentinel)}
    return list(dict.fromkeys(by_signal[x] for x in wait(list(by_signal))))


def processes(run, jobs: list[Job], means: Means) -> Outcomes:
    """So many at a time. A run whose process dies is begun again by a new one."""
    main = sys.modules["__main__"]
    if name_of(run).startswith("__main__.") and not hasattr(main, "__file__"):
        raise ValueError(_unsendable(run, "it is defined in a notebook or console"))
    payloads = _packed(run, jobs, pickle.dumps)
    waiting, losses, unstarted = deque(jobs), dict.fromkeys(payloads, 0), 0
    # What processes are doing: a job, or nothing yet while they start.
    busy: dict[Process, Job | None] = {}
    idle: list[Process] = []
    try:
        while waiting or any(busy.values()):
            while waiting and idle:
                job, process = waiting.popleft(), idle.pop()
                process.send(payloads[job.key])
                busy[process] = job
            starting = sum(job is None for job in busy.values())
            for _ in range(min(len(waiting) - starting, means.workers - len(busy))):
                busy[Process()] = None
            for process in _ready(busy):
                outcome, done = process.receive(), busy.pop(process)
                if outcome is not None:
                    idle.append(process)
                    if done is not None:
                        yield done, outcome
                    continue
                process.kill()
                if done is None:
                    unstarted += 1
                    if unstarted > means.retries:
                        raise RuntimeError(
                            f"processes died while they started (attempts: {unstarted}), for the "
                            "reason that they have printed. A script has to call sweep only under "
                            '`if __name__ == "__main__":`, because each process imports it.'
                        )
                    continue
                losses[done.key] += 1
                if losses[done.key] > means.retries:
                    yield done, _lost(losses[done.key])
                else:
                    waiting.append(done)
    finally:
        # Who has nothing to do ends by itself, and leaves nothing behind.
        for process in idle:
            process.pipe.close()
        for process in idle:
            process.process.join(5)
        for process in (*idle, *busy):
            process.kill()


def _packed(run, jobs: list[Job], dumps: Callable[..., bytes]) -> dict[str, bytes]:
    """What is sent for each job, by its key."""
    try:
        dumps(run)
    except Exception as error:
        raise ValueError(_unsendable(run, error)) from error
    found = {}
    for job in jobs:
        try:
            found[job.key] = dumps((run, job.keywords))
        except Exception as error:
            raise ValueError(
                f"settings of {place(*job.place)} cannot be sent to another process: {error}. Let "
                "`run` make of names and numbers what they are for, or use engine='serial'."
            ) from error
    return found


def _unsendable(run, why) -> str:
    return (
        f"run={run!r} cannot be sent to another process: {why}. Define it with `def` in a file of "
        "its own, say runs.py beside the notebook or script, and import it from there "
        "(`from runs import ...`); or use engine='serial', or 'ray', which can send it."
    )


# ---------------------------------------------------------------------- on a cluster
def ray(run, jobs: list[Job], means: Means) -> Outcomes:
    """As tasks of Ray, which begins those anew whose process or computer is lost."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ImportError("engine='ray' needs Ray: pip install 'lectures-lib[cluster]'") from error
    if not jobs:
        return
    payloads = _packed(run, jobs, ray.cloudpickle.dumps)
    ours = not ray.is_initialized()
    if ours and means.address is None and means.chosen:
        ray.init("local", num_cpus=means.workers, include_dashboard=False)
    elif ours:
        ray.init(means.address)
    options = {"num_cpus": 1, "max_retries": means.retries} | means.options
    task = ray.remote(**options)(call_packed)
    pending: dict[Any, Job] = {}
    try:
        pending |= {task.remote(payloads[job.key]): job for job in jobs}
        while pending:
            (done,), _ = ray.wait(list(pending))
            job = pending.pop(done)
            try:
                yield job, ray.get(done)
            except ray.exceptions.WorkerCrashedError:
                yield job, _lost(means.retries + 1)
            except ray.exceptions.RayError as error:
                yield job, {"error": _text(error)}
    finally:
        if ours:
            ray.shutdown()
        else:
            for left in pending:
                ray.cancel(left, force=True)


ENGINES: dict[str, Callable[..., Outcomes]] = {
    "serial": serial,
    "processes": processes,
    "ray": ray,
}
