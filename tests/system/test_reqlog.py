# SPDX-License-Identifier: BSD-3-Clause
"""The request log: `log` with filters, `top`, `stats -w`, the file in both formats."""
import contextlib
import itertools
import json
import re
import signal
import socket
import subprocess

import pytest

from harness import HOLDFASTCTL, V4, PEER6, answer, connect, curl, read_answer, url, \
    wait_until

COMBINED = re.compile(r'^(\S+) - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] '
                      r'"((?:[^"\\]|\\.)*)" (\d{3}) (\d+) "-" "((?:[^"\\]|\\.)*)"$')


@pytest.fixture
def hf(start, origin, tmp_path):
    origin.on("/bad", answer(b"no", ["Cache-Control: no-store"], "503 Sorry"))
    origin.on("*", answer(b"body", ["Cache-Control: max-age=600"]))
    return start(origin.url, log={"requests": str(tmp_path / "requests.log")})


@contextlib.contextmanager
def one_more_command(hf):
    """The block gives one; it is taken when we are told of it."""
    before, asked = hf.stat("ctl_commands_total"), itertools.count(1)
    yield
    wait_until(lambda: hf.stat("ctl_commands_total") > before + next(asked), what="the command")


@contextlib.contextmanager
def going_on(hf, *words):
    """holdfastctl with a command that goes on; it is listening when we are told of it."""
    with one_more_command(hf):
        process = subprocess.Popen([HOLDFASTCTL, "-s", hf.socket, *words], stdout=subprocess.PIPE,
                                   text=True)
    with process:
        try:
            yield process.stdout
        finally:  # SIGINT is ignored where the tests run in the background
            process.terminate()


def get(path, agent="test", host=V4, source=None):
    return curl(url(path, host), "-A", agent, *(["--interface", source] if source else []))


def lines_of(stream, until):
    """Lines as they come, up to the one of the target UNTIL."""
    lines = []
    while not lines or lines[-1]["target"] != until:
        lines.append(json.loads(stream.readline()))
    return lines[:-1]


def file_lines(path, count):
    def there():
        text = path.read_text() if path.exists() else ""
        return text.splitlines() if text.count("\n") >= count else None
    return wait_until(there, what=f"{count} lines in {path.name}")


def test_filters_show_the_right_requests_and_secrets_are_redacted(hf, tmp_path):
    with going_on(hf, "--json", "log") as every, \
            going_on(hf, "--json", "log", "status=5xx,200", "path=/end") as end, \
            going_on(hf, "--json", "log", "cache=hit") as hits, \
            going_on(hf, "--json", "log", "client=2001:db8::/32", "method=GET") as v6, \
            going_on(hf, "--json", "log", "status=503") as failed:
        get("/a?token=canary5ecret&x=1", agent='"quoted\\')
        get("/a")
        get("/a")
        get("/b", host="2001:db8::10")
        get("/bad")
        get("/end")
        got = lines_of(every, "/end")
        assert [(line["target"], line["status"], line["cache"]) for line in got] == [
            ("/a?token=***&x=1", 200, "bypass"), ("/a", 200, "absent"), ("/a", 200, "hit"),
            ("/b", 200, "absent"), ("/bad", 503, "uncacheable")]
        assert got[0]["agent"] == '"quoted\\' and got[0]["client"] == "192.0.2.1"
        assert (got[1]["bytes"], got[1]["origin"]) == (4, "demo/o1") and got[1]["complete"]
        assert (got[2]["origin"], got[2]["host"]) == ("", V4)
        assert json.loads(end.readline())["target"] == "/end"
        assert json.loads(hits.readline())["target"] == "/a"
        assert json.loads(v6.readline())["client"] == PEER6
        assert json.loads(failed.readline())["target"] == "/bad"
    assert "canary5ecret" not in "".join(file_lines(tmp_path / "requests.log", 6))
    told = hf.ctl("log", "status=600x", as_json=False, code=1)
    assert "404, 5xx, 500-503" in told
    assert "KEY=VALUE" in hf.ctl("log", "nonsense", as_json=False, code=1)


def test_file_in_both_formats_rotated_by_sighup(hf, tmp_path):
    log = tmp_path / "requests.log"
    get("/one", agent='a"b\\c')
    first = json.loads(file_lines(log, 1)[0])
    assert (first["target"], first["agent"], first["method"]) == ("/one", 'a"b\\c', "GET")
    log.rename(tmp_path / "requests.1")
    config = json.loads(hf.config.read_text())
    config["log"]["format"] = "combined"
    hf.config.write_text(json.dumps(config))
    hf.process.send_signal(signal.SIGHUP)
    wait_until(log.exists, what="the new file")
    get("/two?password=canary5ecret", agent='a"b\\c')
    with connect() as conn:
        conn.sendall(b"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n")
        read_answer(conn.makefile("rb"))
    two, bad = map(COMBINED.match, file_lines(log, 2))
    assert two.groups() == ("192.0.2.1", "GET /two?password=*** HTTP/1.1", "200", "4", r'a\"b\\c')
    assert bad.groups()[1:3] == ("-", "400")
    assert (tmp_path / "requests.1").read_text().count("\n") == 1
    log.rename(tmp_path / "requests.2")
    hf.config.write_text("nonsense")
    hf.process.send_signal(signal.SIGHUP)
    wait_until(log.exists, what="a new file in spite of a bad configuration")
    assert log.stat().st_mode & 0o777 == 0o640


def test_top_and_stats_go_on_while_who_never_reads_is_cut_off(hf):
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(hf.socket))
        with one_more_command(hf):
            deaf.sendall(b'{"id":1,"command":"log"}\n')
        fill_kernel_buffers()
        top_and_stats(hf)
        hf.wait_log("is cut off, it does not read")
    assert get("/heavy").body == b"body"


def fill_kernel_buffers():
    """600 KiB of lines: more than they take."""
    burst = b"GET /fill HTTP/1.1\r\nHost: h\r\nUser-Agent: %s\r\n\r\n" % (b"x" * 90)
    with connect() as conn:
        stream = conn.makefile("rb")
        for _ in range(40):
            conn.sendall(burst * 50)
            for _ in range(50):
                assert read_answer(stream).status == 200


def top_and_stats(hf):
    with going_on(hf, "--json", "top", "keys") as keys, \
            going_on(hf, "--json", "stats", "-w", "http_requests_total") as stats:
        before = hf.stat("http_requests_total")
        for _ in range(5):
            get("/heavy")
        get("/light")
        while len(rows := table_rows(keys.readline())) < 2:
            pass
        assert {row["what"] for row in rows} == {f"{V4}/heavy", f"{V4}/light"}
        assert all(row["requests_s"] > 0 for row in rows)
        told = [json.loads(stats.readline())["stats"]["http_requests_total"]]
        while told[-1]["value"] < before + 6:
            told.append(json.loads(stats.readline())["stats"]["http_requests_total"])
        assert any(each["per_second"] > 0 for each in told)
    assert table_rows(json.dumps(hf.ctl("top", "clients", "--once"))) == []
    assert "keys, clients, origins" in hf.ctl("top", "hosts", as_json=False, code=1)
    assert "--watch" in hf.ctl("-w", "top", as_json=False, code=2)


def table_rows(text):
    table = json.loads(text)
    return [dict(zip(table["columns"], row)) for row in table["rows"]]
