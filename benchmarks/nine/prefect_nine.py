"""Nine tasks that do nothing, one after another, in one flow without a server of its own."""

from prefect import flow, task


@task
def nothing(before: int) -> int:
    return before + 1


@flow
def nine() -> int:
    value = 0
    for _ in range(9):
        value = nothing(value)
    return value


if __name__ == "__main__":
    assert nine() == 9
