"""The learning part: from a table's columns to a fitted, calibrated, compared model."""
