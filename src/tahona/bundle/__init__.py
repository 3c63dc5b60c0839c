"""The bundle: one file that takes raw rows and gives decisions.

`archive` is the file, `bundle` the thing in memory, `predict` what it does.
"""
