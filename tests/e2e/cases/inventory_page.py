"""The page of `hybridge scan --format html` in Chromium: at the width of a desk and of a phone, light and dark."""

import contextlib
import functools
import html
import http.server
import json
import os
import re
import subprocess
import tempfile
import threading

from apps import echo
from chromium import browse
from harness import equal, run_cases
from sidecar import ARTEFACTS, BINARY, Sidecar

# Headless Chromium makes no window narrower than 500 pixels: the page stands in a frame of the wanted width.
FRAME = """<!doctype html>
<html><head><meta name="color-scheme" content="light dark"></head>
<body style="margin:0"><iframe id="frame" src="page.html" style="width:{width}px;height:3600px;border:0"></iframe>
<pre id="seen" hidden></pre><script>
const frame = document.getElementById('frame');
const channels = color => (color.match(/[\\d.]+/g) || []).map(Number);
const luminance = color => channels(color).slice(0, 3).map(c => c / 255)
  .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => {{
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}};
frame.onload = () => {{
  const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
  const style = element => view.getComputedStyle(element);
  const ground = element => {{
    for (let e = element; e; e = e.parentElement) {{
      const color = style(e).backgroundColor, alpha = channels(color)[3];
      if (alpha === undefined || alpha > 0) return color;
    }}
    return 'rgb(255, 255, 255)';
  }};
  const texts = [...page.querySelectorAll('main *')].filter(e => e.getClientRects().length
    && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
  const beyond = texts.filter(e => e.getBoundingClientRect().right > root.clientWidth + 1 || e.scrollWidth > e.clientWidth + 1
    && style(e).display !== 'inline');
  document.getElementById('seen').textContent = JSON.stringify({{
    window: root.clientWidth, width: root.scrollWidth, height: root.scrollHeight, ground: style(page.body).backgroundColor,
    texts: texts.length, beyond: beyond.map(e => e.textContent.slice(0, 60)),
    contrast: Math.min(...texts.map(e => contrast(style(e).color, ground(e)))),
    smallest: Math.min(...texts.map(e => parseFloat(style(e).fontSize))),
    heads: [...page.querySelectorAll('thead')].map(e => e.getClientRects().length > 0),
    labels: [...page.querySelectorAll('td:not(:first-child)')].map(e => view.getComputedStyle(e, '::before').content),
    words: page.body.innerText,
  }});
}};
</script></body></html>
"""
GROUND = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}


@contextlib.contextmanager
def served(folder):
    """The files of a folder over HTTP: a frame may be looked into from a page of the same origin only."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def scanned(folder):
    """A page with everything on it: endpoints of each kind, some not examined, one not tried, a doctor's verdict."""
    with echo() as app, Sidecar(app) as sidecar:
        endpoints = [f"127.0.0.1:{sidecar.hybrid}", f"localhost:{sidecar.classical}", "127.0.0.1:1"]
        endpoints.append(f"{'a-rather-long-name-of-a-service.' * 4}invalid:8443")
        targets = os.path.join(folder, "list.txt")
        with open(targets, "w", encoding="utf-8") as file:
            file.write("\n".join([*endpoints, "not an endpoint"]))
        command = [BINARY, "scan", "--targets", targets, "--doctor", "--format", "html"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    equal(done.returncode, 1)
    with open(os.path.join(folder, "page.html"), "w", encoding="utf-8") as file:
        file.write(done.stdout)
    return endpoints


def case_the_page_is_legible_on_a_desk_and_on_a_phone_light_and_dark():
    with tempfile.TemporaryDirectory() as folder, served(folder) as origin:
        endpoints = scanned(folder)
        for width in (1280, 390):
            for scheme, ground in GROUND.items():
                with open(os.path.join(folder, "frame.html"), "w", encoding="utf-8") as file:
                    file.write(FRAME.format(width=width))
                picture = os.path.join(ARTEFACTS, f"inventory-{width}-{scheme}.png")
                preferred = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
                flags = [preferred, "--hide-scrollbars", f"--window-size={max(width, 500)},3600"]
                dom = browse(f"{origin}/frame.html", picture, *flags)
                seen = json.loads(unescaped(re.search(r'<pre id="seen"[^>]*>(.*?)</pre>', dom, re.DOTALL).group(1)))
                what = (width, scheme)
                equal((what, seen["window"]), (what, width))
                assert seen["width"] <= width, (what, seen["width"])
                equal((what, seen["beyond"]), (what, []))
                equal((what, seen["ground"]), (what, ground))
                # Of WCAG 2.2, level AA.
                assert seen["contrast"] >= 4.5, (what, seen["contrast"])
                assert seen["smallest"] >= 12, (what, seen["smallest"])
                # On a phone each cell carries its column's name instead.
                wide = width == 1280
                equal((what, set(seen["heads"])), (what, {wide}))
                assert seen["texts"] > 60 and seen["labels"], (what, seen["texts"])
                assert all((label == "none") == wide for label in seen["labels"]), (what, set(seen["labels"]))
                for word in [*endpoints, "--targets, line 5", "What to do first", "X25519MLKEM768", "CNSA 2.0"]:
                    assert word in seen["words"], (what, word, seen["words"])


def unescaped(text):
    return html.unescape(text).replace("\xa0", " ")


run_cases(globals())
