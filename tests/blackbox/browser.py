"""A headless Chromium, controlled by the DevTools protocol over a pair of pipes."""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from harness import PATIENCE, wait_for

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-default-apps",
         "--disable-dev-shm-usage", "--mute-audio", "--remote-debugging-pipe")


class Browser:
    """One tab. Records its console messages and its requests."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="atomdb-page-")
        command_read, self.commands = os.pipe()
        self.answers, answer_write = os.pipe()
        # Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
        self.log = open(os.path.join(self.profile, "log"), "wb")
        script = f'exec chromium {" ".join(FLAGS)} --user-data-dir={self.profile} about:blank 3<&{command_read} 4>&{answer_write}'
        self.process = subprocess.Popen(["bash", "-c", script], pass_fds=(command_read, answer_write), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        os.close(command_read)
        os.close(answer_write)
        self.buffer, self.number, self.results = b"", 0, {}
        self.console, self.requests, self.failures, self.held = [], [], [], None
        self.session = None
        target = wait_for(self._target, 30, "a tab of Chromium", 0.1)
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.commands)
        os.close(self.answers)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.profile, ignore_errors=True)

    def _target(self):
        pages = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        return pages and pages[0]["targetId"]

    def call(self, method, **params):
        self.number += 1
        number = self.number
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 30 * PATIENCE
        while number not in self.results:
            self.pump(end - time.monotonic())
            assert time.monotonic() < end, f"Chromium does not answer {method}"
        answer = self.results.pop(number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def pump(self, seconds):
        """Waits at most `seconds` for messages of Chromium, and handles them."""
        ready, _, _ = select.select([self.answers], [], [], max(0, seconds))
        if not ready:
            return
        piece = os.read(self.answers, 1 << 20)
        assert piece, "Chromium has ended"
        *messages, self.buffer = (self.buffer + piece).split(b"\0")
        for message in messages:
            self.take(json.loads(message))

    def take(self, message):
        params = message.get("params", {})
        method = message.get("method")
        if "id" in message:
            self.results[message["id"]] = message
        elif method == "Runtime.consoleAPICalled":
            self.console.append(str(params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.console.append(json.dumps(params["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.console.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"])
        elif method == "Network.loadingFailed":
            self.failures.append(params)
        elif method == "Fetch.requestPaused":
            self.held = params

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def js(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self, selector="body"):
        return self.js(f"(document.querySelector({json.dumps(selector)}) || {{}}).innerText")

    def wait(self, expression, seconds=20):
        return wait_for(lambda: self.js(expression), seconds, expression, 0.1)

    def look(self, width=1280, height=900, dark=False, path=None):
        """Sets the size and the colour scheme, and takes a screenshot of the whole page."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.js("new Promise((done) => setTimeout(done, 600))")
        picture = base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")["data"])
        if path:
            with open(path, "wb") as out:
                out.write(picture)
        return picture
