"""A page in headless Chromium: laid out in a frame of a true width, asked a question, its console read."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files", "--enable-logging=stderr")
_FRAME = """<!doctype html><title>frame</title><body style="margin:0">
<iframe id="page" style="border:0;width:{width}px;height:{height}px" src="{page}"></iframe>
<pre id="found"></pre><script>
const page = document.getElementById("page");
page.addEventListener("load", () => {{
  const window_ = page.contentWindow, document_ = page.contentDocument;
  let found;
  try {{ found = ((window, document) => {{ {script} }})(window_, document_); }} catch (error) {{ found = {{ error: String(error) }}; }}
  document.getElementById("found").textContent = JSON.stringify(found);
}});
</script>"""
OVERFLOW = """
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
const edge = document.documentElement.clientWidth + 1;
const out = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > edge
  && !e.closest("svg, .scroll, details:not([open])") && e.getClientRects().length && getComputedStyle(e).clipPath === "none");
return { wide, out: out.slice(0, 3).map((e) => e.outerHTML.slice(0, 120)) };
"""
"""How many pixels a page is wider than its frame, and which elements stick out, but for those that scroll by themselves."""


@dataclass(frozen=True)
class Seen:
    """What the script returned, and what the console said."""

    found: Any
    console: list[str]


def look(page: Path, script: str, tmp_path: Path, *, width: int = 1400, height: int = 2000, query: str = "") -> Seen:
    """Run `script` (a function body of `window` and `document`) in `page` once it is loaded, in a frame `width` pixels wide.

    A window of headless Chromium is never narrower than 500 pixels; a frame is.
    """
    assert CHROMIUM
    frame = tmp_path / f"frame-{abs(hash((page, script, width, query)))}.html"
    source = html.escape(page.resolve().as_uri() + query)
    frame.write_text(_FRAME.format(width=width, height=height, page=source, script=script))
    window = f"--window-size={max(width, 500)},{height}"
    command = [CHROMIUM, *_OPTIONS, window, f"--user-data-dir={tmp_path / 'chromium'}", "--virtual-time-budget=4000", "--dump-dom"]
    done = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True, check=True, timeout=120)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-500:]
    answer = json.loads(html.unescape(found[1]))
    assert not (isinstance(answer, dict) and answer.keys() == {"error"}), answer["error"]
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Seen(answer, said)
