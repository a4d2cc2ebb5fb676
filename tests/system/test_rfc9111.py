# SPDX-License-Identifier: BSD-3-Clause
"""RFC 9111 by its sections, seen from outside: the rows of rfc9111_rows.py, one after another."""
import re
import threading
import time

import pytest
from harness import V4, Holdfast, Origin, connect, read_answer, read_body
from rfc9111_rows import TABLE

DATES = {"": "%a, %d %b %Y %H:%M:%S GMT", "850": "%A, %d-%b-%y %H:%M:%S GMT",
         "c": "%a %b %e %H:%M:%S %Y", "est": "%a, %d %b %Y %H:%M:%S EST"}


class Script:
    """Answers one row's requests, in its order."""
    def __init__(self, path, answers):
        self.path, self.answers = path, [answers] if isinstance(answers, str) else answers
        self.now, self.seen, self.lock = int(time.time()), [], threading.Lock()

    def parts(self, text):
        """Of an answer or half a step, with its dates and the path."""
        def date(match):
            return time.strftime(DATES[match[1] or ""], time.gmtime(self.now + int(match[2])))
        text = re.sub(r"@(850|c|est)?([+-]\d+)", date, text).replace("{path}", self.path)
        return [part.strip() for part in text.split(" | ")]

    def __call__(self, conn, request):
        read_body(request.stream, request.headers)
        with self.lock:
            count = len(self.seen)
            self.seen.append(request)
        said = self.answers[min(count, len(self.answers) - 1)]
        if callable(said):
            said(conn)
            return False
        parts = self.parts(said)
        status = parts.pop(0) if re.fullmatch(r"\d+", parts[0]) else "200"
        body = b"" if status in ("204", "304") else b"%d" % count
        if body and not any(part.startswith("Content-Length") for part in parts):
            parts.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([f"HTTP/1.1 {status} X", *parts, "", ""])
        conn.sendall(head.encode("latin-1") + (b"" if request.method == "HEAD" else body))
        return True


def ask(method, target, fields):
    if not any(field.startswith("Host:") for field in fields):
        fields = [f"Host: {V4}", *fields]
    head = "\r\n".join([f"{method} {target} HTTP/1.1", *fields, "Connection: close", "", ""])
    with connect() as conn:
        conn.sendall(head.encode("latin-1"))
        try:
            return read_answer(conn.makefile("rb"), method)
        except (ValueError, ConnectionError):
            return None  # it broke off


def outcome_of(questions):
    if len(questions) > 1:
        return f"{len(questions)} questions"
    if not questions:
        return "hit"
    names = {name for name, _ in questions[0].headers}
    return "valid" if names & {"if-none-match", "if-modified-since"} else "miss"


def have(fields, claim):
    """Do these lines have what the claim says?"""
    if claim.startswith("-"):
        return claim[1:].lower() not in dict(fields)
    name, sign, want = re.match(r"([\w-]+)(: ?|=)?(.*)", claim).groups()
    values = [value for field, value in fields if field == name.lower()]
    if sign == "=":
        return ", ".join(values) == want
    if name == "Age" and want and values:  # a slow machine is no fault
        return 0 <= int(values[-1]) - int(want) <= 5
    return bool(values) and (not sign or values[-1] == want)


def holds(claim, reply, questions):
    if claim.startswith(">"):
        return bool(questions) and have(questions[0].headers, claim[1:])
    if claim == "cut":  # 502: that was known before anything was sent
        return (reply is None or reply.status == 502 or
                reply.length < int(reply.headers["content-length"]))
    if reply is None:
        return False
    if claim.isdigit():
        return reply.status == int(claim)
    if claim.startswith("body="):
        return reply.body.decode() == claim[5:]
    return have(reply.lines, claim)


def take(script, step):
    """What is wrong after this step."""
    question, arrow, expected = re.split(r" (=>>?) ", step)
    first, *fields = script.parts(question)
    method, _, suffix = first.partition(" ")
    claims = script.parts(expected)
    before = len(script.seen)
    reply = ask(method, script.path + suffix, fields)
    questions = script.seen[before:]
    wrong = []
    if arrow == "=>" and outcome_of(questions) != claims.pop(0):
        wrong.append(outcome_of(questions))
    got = reply and (reply.status, reply.lines)
    return wrong + [f"not {claim}: {got}" for claim in claims
                    if not holds(claim, reply, questions)]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """{path: script} of the origin behind a running holdfastd."""
    scripts = {}

    def script_of(conn, request):
        return scripts[re.match(r"/\w+/\d+", request.target)[0]](conn, request)
    with Origin() as origin:
        origin.on("*", script_of)
        holdfast = Holdfast(tmp_path_factory.mktemp("rfc9111"), origin.url,
                            origin={"retries": 0})  # each question is counted
        try:
            holdfast.start()
            yield scripts
        finally:
            holdfast.stop()


@pytest.mark.parametrize("section", TABLE)
def test_rfc(rows, section):
    wrong = []
    for number, (name, answers, steps) in enumerate(TABLE[section]):
        script = Script(f"/{section}/{number}", answers)
        rows[script.path] = script
        if isinstance(steps, str):
            steps = ["GET => miss", f"GET => {steps}"]
        wrong += [f"{name}: {step}: {fault}" for step in steps for fault in take(script, step)]
    assert not wrong, "\n".join(["", *wrong])
