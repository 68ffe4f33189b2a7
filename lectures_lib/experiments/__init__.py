"""The same function for many settings and seeds: here, on this computer's cores, or on a cluster.

:func:`sweep` writes each result as it comes and goes on where it was interrupted, and :func:`read`
gives the file's rows to any notebook. Nothing here knows what is run.
"""

from .rows import read
from .sweeps import RunsFailed, sweep

__all__ = ["RunsFailed", "read", "sweep"]
