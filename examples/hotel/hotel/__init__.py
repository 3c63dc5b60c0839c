"""The hotel's own code."""
