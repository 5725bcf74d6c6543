"""What a line of a log says: which error, when, with whom. Pure; lines are bytes, as nobody knows their encoding."""
