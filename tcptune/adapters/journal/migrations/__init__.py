"""Every change of the journal's tables since the first release, in order."""
