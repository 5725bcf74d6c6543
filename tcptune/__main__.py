"""`python -m tcptune`."""

from tcptune.cli.app import main

main()
