"""Nine nodes that do nothing, one after another, by Kedro's own runner."""

from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner


def nothing(before: int) -> int:
    return before + 1


steps = pipeline([node(nothing, f"data{place}", f"data{place + 1}", name=f"step{place}") for place in range(9)])
catalog = DataCatalog({"data0": MemoryDataset(0)})
assert SequentialRunner().run(steps, catalog)["data9"].load() == 9
