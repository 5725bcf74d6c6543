"""The command line: parse, call a workflow, render, exit."""

import gc
import os

# Before anything else is imported: looking for plugins of pydantic's reads the metadata of every package.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
# Start-up makes many objects that all stay: looking for garbage among them every 700 is a tenth of it.
gc.set_threshold(20_000, 20, 50)
