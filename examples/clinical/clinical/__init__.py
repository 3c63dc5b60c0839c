"""The clinic's own code."""
