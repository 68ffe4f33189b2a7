"""The built book, served as its host will serve it, and a browser that reaches nothing else."""

import functools
import http.server
import re
import shutil
import threading
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

HTML = Path(__file__).parents[2] / "_build" / "html"
BROWSERS = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
]


@pytest.fixture(scope="session")
def html():
    """The folder of the built book."""
    if not (HTML / "404.html").exists():
        pytest.skip(f"no book in {HTML}: run `make book` first")
    return HTML


@pytest.fixture(scope="session")
def address(html):
    """Where the book is served: in the folder of the host that it was built for, as 404 says."""
    folder = re.search(r'"(/[^"]*)_static/', (html / "404.html").read_text(encoding="utf-8"))[1]

    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path):
            return super().translate_path("/" + path.removeprefix(folder))

        def log_message(self, *message):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=html)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{folder}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no browser: install Debian's package chromium, or Google Chrome")
    with sync_playwright() as playwright:
        # No name leads anywhere: what a page asks of others is noticed, and not sent.
        offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        chromium = playwright.chromium.launch(executable_path=path, args=[offline])
        yield chromium
        chromium.close()
