"""Nine steps that do nothing, one after another, each in a process of its own as Metaflow has it."""

from metaflow import FlowSpec, step


class Nine(FlowSpec):
    @step
    def start(self) -> None:
        self.value = 1
        self.next(self.step1)

    @step
    def step1(self) -> None:
        self.value += 1
        self.next(self.step2)

    @step
    def step2(self) -> None:
        self.value += 1
        self.next(self.step3)

    @step
    def step3(self) -> None:
        self.value += 1
        self.next(self.step4)

    @step
    def step4(self) -> None:
        self.value += 1
        self.next(self.step5)

    @step
    def step5(self) -> None:
        self.value += 1
        self.next(self.step6)

    @step
    def step6(self) -> None:
        self.value += 1
        self.next(self.step7)

    @step
    def step7(self) -> None:
        self.value += 1
        self.next(self.end)

    @step
    def end(self) -> None:
        assert self.value == 8


if __name__ == "__main__":
    Nine()
