"""nginx with deploy/nginx.conf, and requests through it."""

import atexit
import http.client
import json
import os
import shutil
import subprocess

from harness import ROOT, WORK, free_port, wait_until

FOLDER = WORK / "balancer"
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")


LISTEN, FIRST, SECOND = (f"127.0.0.1:{port}" for port in (7280, 7285, 7286))


def request(port, method, path, body=None, headers=None):
    """Makes one request on a new connection. Returns the status, the headers, and the JSON or bytes of the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {"content-type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    kind = answer.headers.get_content_type()
    return answer.status, answer.headers, json.loads(content) if kind.endswith("json") else content


class Balancer:
    """nginx with deploy/nginx.conf, with other addresses."""

    def __init__(self, folder, first, second):
        assert NGINX, "nginx is missing: install nginx-light"
        self.port, self.process, self.log = free_port(), None, folder / "error.log"
        text = (ROOT / "deploy/nginx.conf").read_text()
        for address, port in [(LISTEN, self.port), (FIRST, first), (SECOND, second)]:
            assert address in text, f"deploy/nginx.conf does not name {address}"
            text = text.replace(address, f"127.0.0.1:{port}")
        (folder / "paulina.conf").write_text(text)
        user = "user root;" if os.geteuid() == 0 else ""
        kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        temporary = " ".join(f'{kind}_temp_path "{folder}/{kind}";' for kind in kinds)
        (folder / "nginx.conf").write_text(f"""
            {user} daemon off; worker_processes 1; pid "{folder}/nginx.pid"; error_log "{self.log}";
            events {{ worker_connections 512; }}
            http {{ access_log "{folder}/access.log"; {temporary} include "{folder}/paulina.conf"; }}""")
        self.command = [NGINX, "-p", folder, "-e", self.log, "-c", folder / "nginx.conf"]

    def check(self):
        done = subprocess.run([*self.command, "-t"], capture_output=True, text=True)
        assert done.returncode == 0 and "[warn]" not in done.stderr, done.stderr.strip()

    def start(self):
        self.process = subprocess.Popen(self.command)
        # SIGKILL would leave its worker process behind.
        atexit.register(self.stop)
        wait_until(self.is_ready, 10, "nginx responds")

    def is_ready(self):
        assert self.process.poll() is None, f"nginx did not start; see {self.log}"
        try:
            request(self.port, "POST", "/v1/promote")
        except ConnectionError:
            return False
        return True

    def stop(self):
        self.process.terminate()
        self.process.wait()
