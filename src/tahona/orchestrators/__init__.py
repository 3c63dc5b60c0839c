"""What walks a plan."""
