"""One progress bar for long work, silent where nobody watches."""

from __future__ import annotations

import sys

from tqdm.auto import tqdm


def progress_bar(total: int, description: str, show: bool | None = None, unit: str = "step"):
    """A `tqdm` bar, to be used as a context manager.

    Parameters
    ----------
    total : int
        Units of work.
    description : str
    show : bool, optional
        By default the bar shows in a terminal and in a notebook, and stays away where the error
        stream is neither (tests, logs, scripts in the background).
    unit : str
        What is counted.
    """
    if show is None:
        # A running kernel, not a mere import: nbval's plugin imports ipykernel in every test run.
        ipython = sys.modules.get("IPython")
        notebook = ipython is not None and hasattr(ipython.get_ipython(), "kernel")
        show = sys.stderr.isatty() or notebook
    return tqdm(
        total=total, desc=description, disable=not show, leave=False, unit_scale=True, unit=unit
    )
