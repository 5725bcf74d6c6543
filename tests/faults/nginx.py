"""A real nginx on a host, with a configuration of its own below /tmp."""

from __future__ import annotations

from tests.faults.stage import Host, Running

PORT = 8080
FOLDER = "/tmp/nginx"  # noqa: S108 # the host's own, and empty
CONFIG = """\
user root;
worker_processes 1;
daemon off;
pid {folder}/pid;
{main}
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {http}
  server {{
    listen {where}{listen};
    {server}
  }}
}}
"""


class Nginx:
    """One nginx. `start` again after `configure`: a reload keeps the listener, and with it the queue's limit."""

    def __init__(self, host: Host, **parts: str) -> None:
        self.host = host
        self.running: Running | None = None
        self.configure(**parts)

    def configure(self, *, listen: str = "", main: str = "", http: str = "", server: str = "return 200 ok;") -> None:
        """Write the configuration: what stands behind the port, and in each of its blocks."""
        where = f"[::]:{PORT}" if self.host.six else f"{PORT}"
        text = CONFIG.format(
            folder=FOLDER, where=where, listen=listen and f" {listen}", main=main, http=http, server=server
        )
        self.host.run("mkdir", "-p", FOLDER)
        self.host.undo.callback(self.host.run, "rm", "-rf", FOLDER)
        self.host.run("tee", f"{FOLDER}/nginx.conf", text=text)

    def start(self) -> Nginx:
        """Start it, after ending the one before."""
        if self.running:
            self.running.stop()
        self.running = self.host.start("nginx", "-c", f"{FOLDER}/nginx.conf", "-e", f"{FOLDER}/error.log")
        self.host.wait_listening(PORT)
        return self

    def worker(self) -> int:
        """Give its one worker, as this machine numbers it."""
        if self.running is None:
            raise RuntimeError("it has not been started")
        return self.running.workers()[0]

    def workers(self) -> list[int]:
        """Give its worker as a list: empty while it is being started again."""
        return self.running.workers()[:1] if self.running is not None else []

    def log(self) -> str:
        """Give what it wrote into its error log."""
        return self.host.run("cat", f"{FOLDER}/error.log", check=False)
