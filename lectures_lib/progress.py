"""One progress bar for long work, silent where nobody watches."""

from __future__ import annotations

import sys

from tqdm.auto import tqdm


def progress_bar(total: int, description: str, show: bool | None = None):
    """A `tqdm` bar that leaves no trace in stored notebook outputs.

    Parameters
    ----------
    total : int
        Units of work.
    description : str
    show : bool, optional
        By default the bar shows in a terminal and in a live notebook, and stays away where the
        error stream is neither (tests, logs, `make execute`).
    """
    if show is None:
        show = sys.stderr.isatty() or _in_live_notebook()
    return tqdm(
        total=total, desc=description, disable=not show, leave=False, unit_scale=True, unit="step"
    )


def _in_live_notebook() -> bool:
    # nbconvert and nbval run kernels too, but with LECTURES_QUIET set by the Makefile.
    import os

    return "ipykernel" in sys.modules and not os.environ.get("LECTURES_QUIET")
