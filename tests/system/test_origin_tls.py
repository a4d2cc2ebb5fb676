# SPDX-License-Identifier: BSD-3-Clause
"""https to real origins: HTTP/2 and 1.1, and certificates that are none for us."""
import contextlib
import json
import subprocess
import threading

import pytest

from harness import HOLDFASTD, Holdfast, Nginx, body_hash, curl, free_port, sh, url, wait_until
from test_reload import change, reload

NAMES = ["h2", "h1", "stranger", "other", "old"]
EC = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split()


def authority(directory, name):
    sh("openssl", "req", "-x509", *EC, "-keyout", directory / f"{name}.key", "-days", "30",
       "-out", directory / f"{name}.pem", "-subj", f"/CN={name}")


def certificate(directory, name, by="authority", names="DNS:localhost,IP:127.0.0.1", days=30):
    sh("openssl", "req", *EC, "-keyout", directory / f"{name}.key", "-out", directory / "csr",
       "-subj", "/CN=origin", "-addext", f"subjectAltName={names}")
    sh("openssl", "x509", "-req", "-in", directory / "csr", "-CA", directory / f"{by}.pem",
       "-CAkey", directory / f"{by}.key", "-CAcreateserial", "-days", str(days),
       "-copy_extensions", "copy", "-out", directory / f"{name}.pem")


class Servers(Nginx):
    """One of each name: h2 and h1 are good, the others' certificates are not."""

    def __init__(self, directory):
        super().__init__(directory)
        authority(directory, "authority")
        authority(directory, "nobody")
        certificate(directory, "h2")
        certificate(directory, "h1")
        certificate(directory, "stranger", by="nobody")
        certificate(directory, "other", names="DNS:other.test,IP:127.0.0.2")
        certificate(directory, "old", days=0)
        self.ports = {name: free_port() for name in NAMES}
        config = directory / "nginx.conf"
        servers = "".join(f"""
  server {{
    listen 127.0.0.1:{port} ssl{" http2" if name == "h2" else ""};
    ssl_certificate {directory}/{name}.pem; ssl_certificate_key {directory}/{name}.key;
    access_log {directory}/{name}.log;
    add_header X-Asked "$server_protocol $ssl_server_name"; add_header X-Connection $connection;
    add_header Cache-Control $arg_cc; etag off;
    location /length/ {{ alias {directory}/data/; }}
    location /upload/ {{ dav_methods PUT; root {directory}; create_full_put_path on; }}
  }}""" for name, port in self.ports.items())
        text = config.read_text().rstrip()
        config.write_text(text[:-1] + servers + "\n}\n")

    def log(self, name):
        return (self.dir / f"{name}.log").read_text().splitlines()


@pytest.fixture
def servers(tmp_path):
    (tmp_path / "nginx").mkdir()
    with Servers(tmp_path / "nginx") as servers:
        yield servers


@pytest.fixture
def holdfast(servers, tmp_path):
    """A host for each server."""
    holdfast = Holdfast(tmp_path, servers.url, cache={"max_object": "1MiB"}, origin={
        "ca_file": str(servers.dir / "authority.pem"), "retries": 0})
    (tmp_path / "state.json").write_text(json.dumps({
        "schema": 1, "version": "1", "issued_at": "2026-01-01T00:00:00Z",
        "origins": [{"group": name, "id": "o1", "url":
                     f"https://{'127.0.0.1' if name == 'h1' else 'localhost'}:{port}"}
                    for name, port in servers.ports.items()],
        "routes": [{"id": name, "host": f"{name}.test", "path": "/", "group": name}
                   for name in NAMES]}))
    try:
        yield holdfast.start()
    finally:
        holdfast.stop()


def get(name, path, *options):
    return curl(url(path), "-H", f"Host: {name}.test", *options)


def test_answers_of_h2_and_h1_and_only_those_of_certificates_that_are_good(holdfast, servers):
    servers.file(1000), servers.file(8 << 20)
    failed = 'origin_failures_total{reason="tls"}'
    for name, asked in ("h2", "HTTP/2.0 localhost"), ("h1", "HTTP/1.1 "):
        reply = get(name, "/length/1000?cc=max-age=60")
        assert reply.status == 200 and reply.sha256 == body_hash(1000)
        assert reply.headers["x-asked"].strip() == asked.strip()
        first = reply.headers["x-connection"]
        again = [get(name, "/length/1000?cc=no-store") for _ in range(3)]
        assert {reply.headers["x-connection"] for reply in again} == {first}, "it is kept"
        assert get(name, "/length/1000?cc=max-age=60").headers["cache-status"] == "holdfast; hit"
        body = servers.dir / f"data/{8 << 20}"
        stream = get(name, f"/length/{8 << 20}?cc=no-store", "--limit-rate", "16M")
        assert stream.sha256 == body_hash(8 << 20), "a client that is slower than its origin"
        assert get(name, f"/upload/{name}", "-T", body).status == 201
        assert (servers.dir / f"upload/{name}").read_bytes() == body.read_bytes()
        with contextlib.ExitStack() as stack:  # each key is one fetch, and none waits for another
            for i in range(12):
                thread = threading.Thread(target=get, args=(name, f"/length/1000?cc=max-age=9&{i % 4}"))
                stack.callback(thread.join)
                thread.start()
        wait_until(lambda: sum("max-age=9" in line for line in servers.log(name)) == 4, what="nginx's log of four")
    assert holdfast.stat(failed) == 0
    for count, name in enumerate(("stranger", "other", "old"), 1):
        assert get(name, "/length/1000").status == 502
        assert holdfast.stat(failed) == count
        assert servers.log(name) == [], "nothing was asked"
    assert holdfast.drops()["req_origin_failed"] == 3
    # the authority that is named, and no other
    reload(holdfast, origin={"ca_file": str(servers.dir / "nobody.pem")})
    wait_until(lambda: get("stranger", "/length/1000?cc=no-store").status == 200)
    assert get("h2", "/length/1000?cc=no-store").status == 502


def test_a_file_without_certificates_is_an_error_that_says_so(start, origin, tmp_path):
    hf = start(origin.url)
    for text, reason in (None, "No such file"), ("hello\n", "no certificate"):
        file = tmp_path / "ca.pem"
        if text:
            file.write_text(text)
        change(hf, origin={"ca_file": str(file)})
        assert reason in hf.ctl("config", "reload", code=1)
        done = subprocess.run([HOLDFASTD, "-c", hf.config, "--check"], capture_output=True,
                              text=True)
        assert done.returncode != 0 and f"origin.ca_file {file}" in done.stderr
        assert reason in done.stderr
