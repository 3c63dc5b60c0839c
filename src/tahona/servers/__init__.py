"""Servers that `tahona up` starts on this machine."""
