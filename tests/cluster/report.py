"""PASS, FAIL and SKIP lines, as the other test scripts print them, and the closing count. KNOWN is a failure
that known-faults lists: it is shown and does not fail the run."""

import pathlib
import time
import traceback

_counts = {"PASS": 0, "FAIL": 0, "SKIP": 0, "KNOWN": 0}
_known = set((pathlib.Path(__file__).parent / "known-faults").read_text().splitlines())
_case = ""


def line(outcome, text, detail=""):
    _counts[outcome] += 1
    print(f"{outcome} {_case}: {text}{f' ({detail})' if detail else ''}", flush=True)


def check(text, holds, detail=""):
    """A claim of the running case; `detail` is shown when it does not hold."""
    known = f"{_case}: {text}" in _known
    if known and holds:
        detail = "mended: take it out of known-faults"
    line("PASS" if holds else "KNOWN" if known else "FAIL", text, str(detail)[:600] if known or not holds else "")
    return bool(holds)


def skip(text, why):
    line("SKIP", text, why)


def case(name, function, *arguments):
    """Runs one case; an exception is one failure and the next case runs."""
    global _case
    _case, begin = name, time.monotonic()
    try:
        function(*arguments)
    except Exception as error:
        traceback.print_exc()
        line("FAIL", "the case did not end", f"{type(error).__name__}: {error}"[:600])
    print(f"cluster: case {name} took {time.monotonic() - begin:.0f} s", flush=True)


def close():
    """The closing line; the exit code is 1 for a failure, and for a run that checked nothing."""
    print(f"cluster: {_counts['PASS']} passed, {_counts['FAIL']} failed, {_counts['SKIP']} skipped, {_counts['KNOWN']} known faults", flush=True)
    return 1 if _counts["FAIL"] or not _counts["PASS"] else 0
