"""What people would use instead of Tahona, measured beside it on the same rows."""
