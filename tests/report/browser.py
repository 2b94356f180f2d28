"""Pages in a headless Chromium, where there is one."""

import html
import json
import re
import shutil
import subprocess

_NAMES = ("chromium", "chromium-browser", "chromium-headless-shell")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)

FRAME = """<!doctype html><title>t</title><pre id="out">nothing</pre>
<script>
const found = [];
addEventListener("message", (event) => {
  found.push(event.data);
  document.getElementById("out").textContent = JSON.stringify(found);
});
</script>
<iframe src="tested.html" style="width: 380px; height: 700px; border: 0"></iframe>
"""


def browse(tmp_path, *options, milliseconds=5000):
    """What the page says of itself in a frame of 380 pixels, and what the console says."""
    shown = subprocess.run(
        [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-extensions"),
            *("--enable-logging=stderr", "--v=0", f"--virtual-time-budget={milliseconds}"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", *options),
            f"file://{tmp_path / 'frame.html'}",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    told = re.search(r'<pre id="out">(.*?)</pre>', shown.stdout, re.DOTALL)
    assert told, shown.stdout[:500]
    console = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(told[1])), console
