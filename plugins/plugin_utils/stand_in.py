# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the copied classes need of pydantic and of Python 3.11, for controllers that have no more than Ansible.

Fields are taken as they are given: the parsers make them of the right type, and whoever reads the facts with pydantic
checks them again. A field that is missing, or that nobody knows, is refused all the same.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum


def passed_on(*args, **kwargs):
    """Return nothing: what pydantic would do with it is not needed here."""


AfterValidator = BeforeValidator = ConfigDict = Field = passed_on


class StrEnum(str, Enum):
    """Texts with a name each."""

    def __str__(self):
        """Return the text, and not the name."""
        return self.value


class BaseModel:
    """Named fields with defaults, immutable by agreement, equal by value."""

    def __init__(self, **given):
        fields = self.fields()
        unknown = [name for name in given if name not in fields]
        missing = [name for name in fields if name not in given and not hasattr(type(self), name)]
        if unknown or missing:
            raise ValueError(f"{type(self).__name__}: unknown {unknown}, missing {missing}")
        for name in fields:
            self.__dict__[name] = given.get(name, getattr(type(self), name, None))

    @classmethod
    def fields(cls):
        """Return the names of the fields, those of the base first."""
        names = (name for base in reversed(cls.__mro__) for name in vars(base).get("__annotations__", ()))
        return [name for name in dict.fromkeys(names) if name != "model_config"]

    def model_copy(self, update):
        """Return the same with some fields changed."""
        return type(self)(**{**self.__dict__, **update})

    def __eq__(self, other):
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self):
        return hash(tuple(self.__dict__.items()))


def plain(value):
    """Return a value as the JSON of a facts file has it."""
    if isinstance(value, BaseModel):
        return {name: plain(one) for name, one in value.__dict__.items()}
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
