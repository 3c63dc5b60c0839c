"""The feature work of `tahona predict`: from the Parquet file to the matrix that the model reads. Prints CPU seconds.

python by_tahona.py PROJECT ROWS.parquet
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tahona.bundle.predict import raw_columns
from tahona.lifecycle.predicting import PIECE
from tahona.lifecycle.registry import find_version, open_bundle
from tahona.wiring import open_project, open_table

opened = open_project(Path(sys.argv[1]))
bundle = open_bundle(opened, find_version(opened, "champion"))
source = open_table(opened.project, Path(sys.argv[2]), bundle)
encoding = bundle.members[0].model.encoding
encoding.apply(raw_columns(bundle, next(iter(source.batches(100))), coded=True)[1])  # what is imported late

begun = time.process_time()
for piece in source.batches(PIECE):
    encoding.apply(raw_columns(bundle, piece, coded=True)[1])
print(time.process_time() - begun)
