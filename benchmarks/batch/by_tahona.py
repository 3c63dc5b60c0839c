"""The feature work of `tahona predict`: from the Parquet file to what the model reads. Prints CPU seconds.

python by_tahona.py PROJECT ROWS.parquet

That is a matrix. Where a linear model's would be wide, none is made: each level's weight is looked up and added at
once, and what is counted is then the model's own sum as well.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pandas as pd

from tahona.bundle.predict import raw_columns
from tahona.lifecycle.predicting import PIECE
from tahona.lifecycle.registry import find_version, open_bundle
from tahona.wiring import open_project, open_table

opened = open_project(Path(sys.argv[1]))
bundle = open_bundle(opened, find_version(opened, "champion"), light=True)
source = open_table(opened.project, Path(sys.argv[2]), bundle)
model = bundle.members[0].model


def make_ready(piece: pd.DataFrame) -> None:
    columns = raw_columns(bundle, piece, coded=True)[1]
    if model.encoding.wide:
        model.encoding.products(columns, model.estimators[0].coef_)
    else:
        model.encoding.apply(columns)


make_ready(next(iter(source.batches(100))))  # what is imported late
begun = time.process_time()
for piece in source.batches(PIECE):
    make_ready(piece)
print(time.process_time() - begun)
