"""The one error of the lab: a sentence for a person, and what to do next."""


class LabError(Exception):
    """The lab cannot do what was asked; `hint` is a command or a step that helps."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
