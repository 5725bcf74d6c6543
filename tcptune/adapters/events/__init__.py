"""Family: who is told what happens in a rollout. A file, lines, a live view, receivers elsewhere: one file each."""
