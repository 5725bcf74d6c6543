"""The record of every run, in a database: SQLite in the user's state folder, or any that TCPTUNE_JOURNAL names."""
