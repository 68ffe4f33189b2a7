"""The repository's address, and what is absent without one."""

import shutil
import subprocess
from pathlib import Path

import pytest
import repository

ADDRESS = "https://github.com/owner/some.name"


@pytest.mark.parametrize(
    "remote",
    [
        "git@github.com:owner/some.name.git",
        "https://github.com/owner/some.name",
        "https://github.com/owner/some.name.git\n",
        "https://user:secret@github.com/owner/some.name.git",
        "ssh://git@github.com/owner/some.name.git",
    ],
)
def test_a_github_remote_gives_the_page_and_no_secret(remote):
    assert repository.from_remote(remote) == ADDRESS


@pytest.mark.parametrize(
    "remote", ["", "/srv/git/book.git", "https://example.org/owner/name.git", "https://github.com/"]
)
def test_other_remotes_give_no_address(remote):
    assert repository.from_remote(remote) is None


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """`clone(branch)`: a folder made by git from a repository that has only this branch."""

    for name in ("GIT_DIR", "GIT_WORK_TREE"):  # the tests may run in a hook
        monkeypatch.delenv(name, raising=False)

    def git(folder, *command):
        settings = ["user.name=A", "user.email=a@example.org", "commit.gpgSign=false"]
        settings = [part for setting in settings for part in ("-c", setting)]
        subprocess.run(["git", "-C", folder, *settings, *command], check=True, capture_output=True)

    def make(branch):
        source, folder = tmp_path / "source", tmp_path / "Ma thèse"
        source.mkdir()
        git(source, "init", "--initial-branch", branch)
        git(source, "commit", "--allow-empty", "--message", "First")
        git(tmp_path, "clone", source, folder)
        git(folder, "remote", "set-url", "origin", "git@github.com:owner/some.name.git")
        return folder, lambda *command: git(folder, *command)

    return make


@needs_git
@pytest.mark.parametrize("branch", ["main", "trunk", "work/chapters"])
def test_a_clone_gives_its_remote_and_the_branch_that_is_checked_out(clone, branch):
    folder, git = clone(branch)
    assert repository.find_repository(folder, {}) == (ADDRESS, branch)
    git("remote", "remove", "origin")
    assert repository.find_repository(folder, {}) is None


@needs_git
@pytest.mark.parametrize("command", [["--detach"], ["-b", "never-pushed"]])
def test_what_the_remote_does_not_have_gives_its_default_branch(clone, command):
    folder, git = clone("trunk")
    git("checkout", *command)
    assert repository.find_repository(folder, {}) == (ADDRESS, "HEAD")


@needs_git
def test_a_repository_that_the_book_was_unpacked_in_is_not_its_own(clone, monkeypatch):
    outer, _ = clone("main")
    book = outer / "downloads" / "book"
    book.mkdir(parents=True)
    monkeypatch.setenv("GIT_DIR", str(outer / ".git"))  # as in a hook
    assert repository.find_repository(book, {}) is None
    # On GitHub, that repository's name is in the environment of every build.
    work = {"GITHUB_REPOSITORY": "owner/some.name", "GITHUB_WORKSPACE": str(outer)}
    assert repository.find_repository(book, work) is None
    assert repository.find_repository(outer, work) == (ADDRESS, "main")


@needs_git
def test_a_name_in_the_environment_comes_before_the_remote(clone):
    folder, _ = clone("trunk")
    fork = repository.find_repository(folder, {"GITHUB_REPOSITORY": "fork/name"})
    assert fork == ("https://github.com/fork/name", "HEAD")  # of whose branches git knows nothing
    same = repository.find_repository(folder, {"GITHUB_REPOSITORY": "owner/some.name"})
    assert same == (ADDRESS, "trunk")


def test_an_archive_has_an_address_only_when_one_is_named_and_needs_no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert repository.find_repository(tmp_path, {}) is None
    named = repository.find_repository(tmp_path, {"GITHUB_REPOSITORY": "owner/some.name"})
    assert named == (ADDRESS, "HEAD")


class Config:
    html_baseurl = ""

    def __init__(self):
        self.html_theme_options = {"home_page_in_toc": True}


@pytest.mark.parametrize(
    ("name", "pages", "folder"),
    [
        ("Owner/some.name", "https://owner.github.io/some.name/", "/some.name/"),
        ("Owner/owner.github.io", "https://owner.github.io/", "/"),
        (None, "", "/"),
    ],
)
def test_pages_lie_where_github_publishes_them(monkeypatch, name, pages, folder):
    found = name and repository.Repository(f"https://github.com/{name}", "trunk")
    monkeypatch.setattr(repository, "find_repository", lambda folder: found)
    config = Config()
    repository.name_pages(type("App", (), {"srcdir": "."}), config)
    assert config.html_baseurl == config.ogp_site_url == pages
    assert config.notfound_urls_prefix == folder


def test_a_domain_of_ones_own_comes_before_githubs(monkeypatch):
    found = repository.Repository(ADDRESS, "trunk")
    monkeypatch.setattr(repository, "find_repository", lambda folder: found)
    config = Config()
    config.html_baseurl = "https://book.example.org/first/"
    repository.name_pages(type("App", (), {"srcdir": "."}), config)
    assert config.html_baseurl == config.ogp_site_url == "https://book.example.org/first/"
    assert config.notfound_urls_prefix == "/first/"


@pytest.mark.parametrize("found", [None, repository.Repository(ADDRESS, "trunk")])
def test_buttons_need_a_repository(found, monkeypatch):
    monkeypatch.setattr(repository, "find_repository", lambda folder: found)
    config = Config()
    repository.add_buttons(type("App", (), {"srcdir": "."}), config)
    options = config.html_theme_options
    assert options["home_page_in_toc"] and ("launch_buttons" in options) == bool(found)
    shown = (options.get("repository_url"), options.get("repository_branch"))
    assert shown == (found or (None, None))


def test_colab_opens_the_copy_that_installs_the_package():
    config = Config()
    config.html_theme_options["repository_branch"] = "trunk"
    colab = {"text": "Colab", "url": "https://colab/github/owner/some.name/blob/trunk/x"}
    context = {"header_buttons": [{"type": "link"}, {"buttons": [colab]}]}
    app = type("App", (), {"config": config})
    repository.open_colab_with_the_package(app, None, None, context, None)
    assert colab["url"].endswith(f"/blob/{repository.COLAB_BRANCH}/x")
    publish = Path(__file__).parents[2] / ".github/workflows/publish.yml"
    assert f'$GITHUB_REPOSITORY" {repository.COLAB_BRANCH}\n' in publish.read_text()


@pytest.mark.parametrize(
    ("address", "pages"),
    [
        (ADDRESS, "https://owner.github.io/some.name/"),
        ("https://github.com/Owner/Book", "https://owner.github.io/Book/"),
        ("https://github.com/owner/owner.github.io", "https://owner.github.io/"),
    ],
)
def test_pages_are_published_at_the_owners_address(address, pages):
    assert repository.find_pages(address) == pages
