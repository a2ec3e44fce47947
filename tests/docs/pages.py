"""The shell blocks of a page, and what another test runs of them."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?:^<!-- not run: (?P<reason>.*?) -->\n)?^```sh\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)

# Pages whose blocks are run by another test, all of them.
ELSEWHERE = {
    "docs/kubernetes": "tests/cluster, case documents",
    "docs/signatures.md": "tests/e2e, case signatures",
}


def blocks(page):
    """What is to be run, and how many are not."""
    found = list(BLOCK.finditer((ROOT / page).read_text()))
    return [each["text"] for each in found if not each["reason"]], sum(1 for each in found if each["reason"])


def all_pages():
    return ["README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md"))]


def elsewhere(page):
    return next((test for prefix, test in ELSEWHERE.items() if page.startswith(prefix)), None)
