# SPDX-License-Identifier: BSD-3-Clause
"""The demo control plane (scripts/demo/control-plane) as a peer of the tests."""
import json
import re
import subprocess
import urllib.request

import harness

PROGRAM = harness.ROOT / "scripts/demo/control-plane"


def document(version, url, **changes):
    return {"schema": 1, "version": version, "issued_at": "2026-01-01T00:00:00Z",
            "origins": [{"group": "demo", "id": "o1", "url": url, "weight": 1}],
            "routes": [{"id": "default", "host": "*", "path": "/", "group": "demo"}], **changes}


class ControlPlane:
    def __init__(self, directory, state):
        self.file = directory / "plane.json"
        self.file.write_text(json.dumps(state))

    def __enter__(self):
        self.process = subprocess.Popen([PROGRAM, self.file], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.url, self.admin = re.findall("http://[0-9.:]+", line)
        # no answer is late on a busy machine: a mode of ours fails, or nothing does
        self.config = {"url": self.url, "interval": "50ms", "timeout": "10s"}
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, path="/", body=None):
        request = urllib.request.Request(self.admin + path, data=body,
                                         method="GET" if body is None else "PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def mode(self, mode):
        self.ask("/mode", mode.encode())

    def state(self, state):
        """A document, or bytes."""
        self.ask("/state", state if isinstance(state, bytes) else json.dumps(state).encode())

    def seen(self):
        return json.loads(self.ask())

    def acks(self):
        return self.seen()["acks"]

    def wait_ack(self, version, status="applied"):
        def found():
            return [ack for ack in self.acks()
                    if ack["version"] == version and ack["status"] == status]
        return harness.wait_until(found, what=f"{status} of {version}")[-1]

    def wait_polls(self, more):
        """So many questions more were asked."""
        until = self.seen()["polls"] + more
        harness.wait_until(lambda: self.seen()["polls"] >= until, what="polls")
