"""Nine steps that do nothing, one after another, on ZenML's local stack."""

from zenml import pipeline, step


@step(enable_cache=False)
def nothing(before: int) -> int:
    return before + 1


@pipeline(enable_cache=False)
def nine() -> None:
    value = 0
    for _ in range(9):
        value = nothing(value)


if __name__ == "__main__":
    nine()
