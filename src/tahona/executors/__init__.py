"""Where trials run: in this process, or in workers beside it."""
