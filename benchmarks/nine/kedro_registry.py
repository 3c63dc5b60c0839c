"""Nine nodes that do nothing, one after another: the pipeline registry of a Kedro project."""

from kedro.pipeline import Pipeline, node, pipeline


def begin() -> int:
    return 1


def nothing(before: int) -> int:
    return before + 1


def register_pipelines() -> dict[str, Pipeline]:
    first = node(begin, None, "data1", name="step1")
    others = [node(nothing, f"data{place}", f"data{place + 1}", name=f"step{place + 1}") for place in range(1, 9)]
    return {"__default__": pipeline([first, *others])}
