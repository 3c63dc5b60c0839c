"""The one file: `model` says what may stand in it, `load` reads it."""
