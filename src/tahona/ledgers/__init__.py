"""Where it is kept who ran what, and how well it did."""
