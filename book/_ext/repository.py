"""Find the repository's address when the book is built and switch on the buttons that need it.

A fork, a clone without a remote and the published book all build from the same files. Without an
address the buttons are absent, so that none of them can lead nowhere.
"""

import os
import re
import subprocess
from pathlib import Path

BRANCH = "main"
COLAB_BRANCH = "notebooks"  # made by book/_ext/reader_notebooks.py


def from_remote(remote: str) -> str | None:
    """GitHub page of a git remote, without any user name or token that the remote may hold."""
    match = re.fullmatch(
        r"(?:(?:https?|ssh|git)://(?:[^@/]+@)?github\.com/|(?:[^@/]+@)?github\.com:)"
        r"([\w.-]+)/([\w.-]+?)(?:\.git)?/?",
        remote.strip(),
    )
    return "https://github.com/{}/{}".format(*match.groups()) if match else None


def find_address(folder: str | Path, environ=os.environ) -> str | None:
    """The address from GITHUB_REPOSITORY, else from the remote `origin`, else None."""
    if name := environ.get("GITHUB_REPOSITORY"):
        return from_remote(f"https://github.com/{name}")
    try:
        remote = subprocess.run(
            ["git", "-C", str(folder), "remote", "get-url", "origin"],
            capture_output=True,
            text=True,
        )
    except OSError:  # git is not installed
        return None
    return from_remote(remote.stdout)


def add_buttons(app, config):
    if address := find_address(app.srcdir):
        config.html_theme_options |= {
            "repository_url": address,
            "repository_branch": BRANCH,
            "use_repository_button": True,
            "use_issues_button": True,
            "use_source_button": True,
            "launch_buttons": {
                "notebook_interface": "jupyterlab",
                "binderhub_url": "https://mybinder.org",
                "colab_url": "https://colab.research.google.com",
            },
        }


def open_colab_with_the_package(app, pagename, templatename, context, doctree):
    """Lead the Colab button to the copy of the notebook that installs the package first."""
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button["text"] == "Colab":
                button["url"] = button["url"].replace(f"/blob/{BRANCH}/", f"/blob/{COLAB_BRANCH}/")


def setup(app):
    app.connect("config-inited", add_buttons)
    # The theme makes its buttons at priority 501.
    app.connect("html-page-context", open_colab_with_the_package, priority=502)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
