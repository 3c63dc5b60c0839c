"""The routes of the back, one file for each group."""
