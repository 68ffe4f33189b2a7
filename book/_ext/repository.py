"""Find the repository's address when the book is built and switch on what needs it.

A fork, a clone without a remote, an unpacked archive and the published book all build from the same
files. Without an address the buttons and the sitemap are absent, so that none of them can lead
nowhere.
"""

import os
import re
import subprocess
import urllib.parse
from pathlib import Path
from typing import NamedTuple

DEFAULT_BRANCH = "HEAD"  # as GitHub and Binder call it, whatever its name
COLAB_BRANCH = "notebooks"  # of what book/_ext/reader_notebooks.py makes


class Repository(NamedTuple):
    """Where readers find the book's files: a page of GitHub, and a branch that is there."""

    address: str
    branch: str

    @property
    def pages(self) -> str:
        """Where GitHub publishes the book, unless the owner has a domain."""
        return find_pages(self.address)


def from_remote(remote: str) -> str | None:
    """GitHub page of a git remote, without any user name or token that the remote may hold."""
    match = re.fullmatch(
        r"(?:(?:https?|ssh|git)://(?:[^@/]+@)?github\.com/|(?:[^@/]+@)?github\.com:)"
        r"([\w.-]+)/([\w.-]+?)(?:\.git)?/?",
        remote.strip(),
    )
    return "https://github.com/{}/{}".format(*match.groups()) if match else None


def find_pages(address: str) -> str:
    """Where GitHub publishes the book of a repository, up to the last slash."""
    owner, name = address.removeprefix("https://github.com/").split("/")
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def ask_git(folder: str | Path, *question: str) -> str:
    """What git answers: nothing where it is not installed, or knows no answer."""
    # Within a hook these name the hook's repository, whatever the folder.
    environ = {k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_WORK_TREE")}
    command = ["git", "-C", folder, *question]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, env=environ)
    except OSError:
        return ""
    return answer.stdout.rstrip("\n") if answer.returncode == 0 else ""


def is_same(folder: str | Path, other: str | Path) -> bool:
    return os.path.realpath(folder) == os.path.realpath(other)


def ask_origin(folder: str | Path) -> Repository | None:
    """The remote `origin` of a repository, where it is on GitHub and `folder` is its top folder.

    A book that lies deeper in a repository is none of its files. The branch is the one that is
    checked out, where the remote has it, else the remote's default.
    """
    top = ask_git(folder, "rev-parse", "--show-toplevel")
    if not (top and is_same(top, folder)):
        return None
    address = from_remote(ask_git(folder, "remote", "get-url", "origin"))
    branch = ask_git(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
    is_there = branch and ask_git(folder, "rev-parse", "--verify", f"refs/remotes/origin/{branch}")
    return address and Repository(address, branch if is_there else DEFAULT_BRANCH)


def find_repository(folder: str | Path, environ=os.environ) -> Repository | None:
    """The one that GITHUB_REPOSITORY names, else the remote `origin`, else None."""
    origin = ask_origin(folder)
    name = environ.get("GITHUB_REPOSITORY")
    # A person names the book's repository; GitHub the one that it works on, and where that lies.
    if not name or not is_same(environ.get("GITHUB_WORKSPACE", folder), folder):
        return origin
    address = from_remote(f"https://github.com/{name}")
    if origin and origin.address == address:
        return origin
    return address and Repository(address, DEFAULT_BRANCH)


def add_buttons(app, config):
    if repository := find_repository(app.srcdir):
        config.html_theme_options |= {
            "repository_url": repository.address,
            "repository_branch": repository.branch,
            "use_repository_button": True,
            "use_issues_button": True,
            "use_source_button": True,
            "launch_buttons": {
                "notebook_interface": "jupyterlab",
                "binderhub_url": "https://mybinder.org",
                "colab_url": "https://colab.research.google.com",
            },
        }


def name_pages(app, config):
    """Tell those who need whole addresses where the book is published, if that is known."""
    repository = find_repository(app.srcdir)
    config.html_baseurl = config.html_baseurl or (repository.pages if repository else "")
    config.ogp_site_url = config.html_baseurl
    # The page for addresses that are not there is shown at any of them, so its own are absolute.
    config.notfound_urls_prefix = urllib.parse.urlsplit(config.html_baseurl).path or "/"


def open_colab_with_the_package(app, pagename, templatename, context, doctree):
    """Lead the Colab button to the copy of the notebook that installs the package first."""
    branch = app.config.html_theme_options.get("repository_branch")
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button["text"] == "Colab":
                button["url"] = button["url"].replace(f"/blob/{branch}/", f"/blob/{COLAB_BRANCH}/")


def setup(app):
    app.connect("config-inited", name_pages)
    app.connect("config-inited", add_buttons)
    # The theme makes its buttons at priority 501.
    app.connect("html-page-context", open_colab_with_the_package, priority=502)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
