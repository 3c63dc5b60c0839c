"""The use cases: plan, run, run one step, explain, promote, roll back, predict.

Functions here take an `OpenProject` (what `tahona.wiring.open_project` gives) and know no adapter and no terminal.
"""
