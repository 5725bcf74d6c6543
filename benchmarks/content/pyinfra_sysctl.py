"""Set the settings with pyinfra, now and for the next boot. Run by pyinfra, in an environment of its own."""

from pathlib import Path

import yaml
from pyinfra.operations import files, server

DROPIN = "/etc/sysctl.d/99-bench.conf"
SETTINGS = yaml.safe_load(Path(__file__).with_name("settings.yml").read_text())["settings"]

# Its operation edits a file line by line, and asks grep for the line first: the file has to be there.
files.file(name="Have a file", path=DROPIN, mode="644", _sudo=True)
for key, value in SETTINGS.items():
    server.sysctl(name=f"Set {key}", key=key, value=value, persist=True, persist_file=DROPIN, _sudo=True)
