"""What tcptune costs beside what a user would pick instead."""
