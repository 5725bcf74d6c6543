"""Every error that a user can meet.

TcptuneError            1   anything we can explain
├── UsageError          2   the command line makes no sense
├── InputError          3   a file the user gave is wrong
│   ├── ProfileError        a profile, with every mistake in it
│   ├── PlanError           a plan that is no plan, or was edited
│   ├── PolicyError         a rollout policy, or one that these hosts cannot meet
│   ├── ChainError          a chain of timeouts, or a proxy's configuration, with every mistake in it
│   ├── FactsError          a facts file that is none
│   ├── CaptureError        a capture of packets that is none
│   └── InventoryError      an inventory Ansible cannot read
├── HostError           4   one host failed; the others go on
│   ├── HostUnreachable     no session opens
│   ├── HostKeyRefused      the host is not who known_hosts says
│   ├── BecomeRefused       sudo said no
│   └── ProbeFailed         the host's answer makes no sense
├── HostsClaimed        1   another run works on some of the hosts
├── LeaseLost           1   another run may have taken over what this one had claimed
├── PlanStale           5   a host has moved since the plan was made
└── GateFailed          6   a gate failed; the changes were taken back
"""

from __future__ import annotations


class TcptuneError(Exception):
    """Base of what a user can meet. `hint` says what to try next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(TcptuneError):
    """The command line makes no sense."""

    exit_code = 2


class InputError(TcptuneError):
    """A file the user gave is wrong."""

    exit_code = 3


class ProfileError(InputError):
    """A profile cannot be used. The message lists every mistake."""


class PlanError(InputError):
    """A plan file is damaged, was edited, or is of another format version."""


class PolicyError(InputError):
    """A rollout policy is wrong, with every mistake in the message; or these hosts cannot meet it."""


class ChainError(InputError):
    """A chain file, or a proxy's configuration, cannot be used. The message lists every mistake."""


class FactsError(InputError):
    """A facts file is damaged or of another format version."""


class CaptureError(InputError):
    """A file is no capture of packets, or cannot be opened."""


class InventoryError(InputError):
    """Ansible cannot read the inventory."""


class HostError(TcptuneError):
    """One host failed; the others go on."""

    exit_code = 4


class HostUnreachable(HostError):
    """No session opens."""


class HostKeyRefused(HostError):
    """The host's key is unknown, revoked, or not the one known_hosts holds."""


class BecomeRefused(HostError):
    """The login works, becoming another user does not."""


class ProbeFailed(HostError):
    """The host answered, and the answer is incomplete or makes no sense."""


class HostsClaimed(TcptuneError):
    """Another run works on some of the hosts. The message says who, on which, since when and until when."""


class LeaseLost(TcptuneError):
    """The claim on the hosts ran out: whoever had it may change nothing more."""


class PlanStale(TcptuneError):
    """A host has moved since the plan was made."""

    exit_code = 5


class GateFailed(TcptuneError):
    """A gate failed; the changes were taken back."""

    exit_code = 6


EXIT_PENDING = 10
"""Deviations, pending changes or findings exist. Not an error, so no exception carries it."""
