"""Run `ansible-test sanity` over a copy of the collection: every test that can run here, and why the others cannot.

    python -m tests.collection.sanity [TEST ...]

No container is needed. ansible-test makes virtual environments of its own for some tests, below build/sanity.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.collection.copies import ROOT

SKIPPED = {
    "changelog": "the changelog is made by towncrier for package and collection together, not by antsibull-changelog",
    "pep8": "ruff judges the style of all Python here, with lines of 120 characters and one set of rules",
    "pslint": "there is no PowerShell in the collection",
}
"""Test of ansible-test -> why it is not run."""
TESTS = (
    "action-plugin-docs",
    "ansible-doc",
    "compile",
    "empty-init",
    "ignores",
    "import",
    "line-endings",
    "no-assert",
    "no-get-exception",
    "no-illegal-filenames",
    "no-smart-quotes",
    "pylint",
    "replace-urlopen",
    "runtime-metadata",
    "shebang",
    "shellcheck",
    "symlinks",
    "use-argspec-type-path",
    "use-compat-six",
    "validate-modules",
    "yamllint",
)
_PARTS = ("galaxy.yml", "LICENSE", "README.md", "meta", "playbooks", "plugins", "roles")
_BUILD = ROOT / "build/sanity"
# ansible-test fetches a file from a server of its own to have pip in an environment; Python brings one.
_BOOTSTRAP = "import ensurepip; ensurepip.bootstrap()"


def tree() -> Path:
    """Make a copy of the collection where ansible-test wants it. Return its folder."""
    place = _BUILD / "ansible_collections/tcptune/linux"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for part in _PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / part).exists():
            shutil.copy(ROOT / part, place)
    ignored = ROOT / "tests/sanity"
    if ignored.is_dir():
        shutil.copytree(ignored, place / "tests/sanity")
    # It lists the files that git knows, where there is one.
    subprocess.run(["git", "init", "-q"], cwd=place, check=True)
    subprocess.run(["git", "add", "-A"], cwd=place, check=True)
    return place


def environment() -> dict[str, str]:
    """Return the environment: a home of its own, and every Python of this machine by its own name."""
    home = _BUILD / "home"
    cache = home / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    for name in ("get_pip_24_2.py", "get_pip_25_0_1.py", "get_pip_20_3_4.py", "get_pip_21_3_1.py"):
        (cache / name).write_text(_BOOTSTRAP)
    for place in (".config/pip", ".pip"):
        # Where packages come from is the user's to say.
        link = home / place
        if Path("~", place).expanduser().is_dir() and not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path("~", place).expanduser())
    # A shim of pyenv is there for Pythons that it does not run.
    others = [str(path) for path in sorted(Path("~/.pyenv/versions").expanduser().glob("3.*/bin"))]
    path = [part for part in os.environ["PATH"].split(os.pathsep) if "shims" not in part]
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_", "REQUESTS_"))}
    return {
        **kept,
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), *path, *others]),
    }


def main(names: list[str]) -> int:
    """Run the tests of these names, or all. Return 1 if one of them finds something."""
    place, around = tree(), environment()
    command = [str(Path(sys.executable).parent / "ansible-test"), "sanity", "--python", "default", "--color", "no"]
    failed = []
    for name in names or TESTS:
        done = subprocess.run(
            [*command, "--test", name], cwd=place, env=around, capture_output=True, text=True, check=False
        )
        print(f"{'ok' if done.returncode == 0 else 'FAILED':7} {name}", flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stdout + done.stderr)
    for name, why in SKIPPED.items() if not names else ():
        print(f"skipped {name}: {why}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
