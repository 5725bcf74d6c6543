"""What the kernel wrote to its log within the window: each line names its cause."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.detectors.case import NOT_HELD, Case, Clue, NotKnown
from tcptune.detectors.handshakes import overflows
from tcptune.domain.causes import Confidence
from tcptune.domain.diagnosis import Evidence, Source
from tcptune.domain.strain import KernelMessage
from tcptune.knowledge.causes import kernel_patterns

_NOT_SURE = frozenset(
    {
        KernelMessage.POSSIBLE_SYN_FLOODING,
        KernelMessage.MARTIAN,
        KernelMessage.PAGE_ALLOC,
        KernelMessage.SHRUNK_WINDOW,
        KernelMessage.LINK_DOWN,
    }
)
"""Lines that say less than their cause: a link of a container that ends, a forged packet."""
_OF_OTHERS = frozenset({KernelMessage.MARTIAN, KernelMessage.SHRUNK_WINDOW})
"""Lines about what one peer did: any host with many has some, and they only support what its own numbers show."""
_GROUP = "CONSTRAINT_MEMCG"
_ENDED = "reset.process_crash"


def judge(case: Case) -> Iterator[Clue]:
    """Yield a clue for each message of the window. Raises NotKnown where the host's own log was not read."""
    log = case.second.kernel_log
    if log is None and case.shares_log:
        # It would be the whole machine's, and could only support what is found: nothing is missed without it.
        return
    if log is None:
        why = case.second.gaps.get("kernel_log")
        raise NotKnown(f"the kernel's log was not read: {why or NOT_HELD}", root=case.plain and why is not None)
    for pattern in kernel_patterns():
        message = KernelMessage(pattern.id)
        lines = case.lines(message)
        if lines:
            newest = next((one.text for one in reversed(log.newest) if one.message is message), "")
            group = message is KernelMessage.OOM_KILLER and of_a_group(case)
            said = _because(newest, elsewhere=case.shares_log)
            yield Clue(
                cause=_ENDED if group else pattern.cause,
                confidence=Confidence.POSSIBLE if group or message in _NOT_SURE else Confidence.HIGH,
                because=f"a process was killed for the limit of its own group, not of the host; {said}"
                if group
                else said,
                alone=not case.shares_log and message not in _OF_OTHERS and not _of_accept_queue(case, message),
                evidence=Evidence(
                    source=Source.KERNEL_LOG, name=f"lines of {pattern.id}", value=lines, unit="in the window"
                ),
            )


def of_a_group(case: Case) -> bool:
    """Say whether the kernel killed for the memory limit of a control group alone, a container or a unit."""
    log = case.second.kernel_log
    found = log.newest if log is not None else ()
    # A kill for lack of memory on the host says so in two lines, one of a group in the first alone.
    texts = [one.text for one in found if one.message is KernelMessage.OOM_KILLER][
        -case.lines(KernelMessage.OOM_KILLER) :
    ]
    return bool(case.lines(KernelMessage.OOM_KILLER) and texts) and all(_GROUP in text for text in texts)


def _of_accept_queue(case: Case, message: KernelMessage) -> bool:
    """Say whether a full accept queue made the line: the kernel warns of a flood then, too."""
    return message is KernelMessage.POSSIBLE_SYN_FLOODING and overflows(case)


def _because(line: str, *, elsewhere: bool) -> str:
    said = f"the kernel's log says so: {line}" if line else "the kernel's log says so"
    # A container reads the log of the whole machine.
    return f"{said}; of the machine, not of this network namespace alone" if elsewhere else said
