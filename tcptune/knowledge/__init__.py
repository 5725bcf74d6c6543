"""What tcptune knows, loaded from the data beside it: the catalogue and the built-in profiles."""
