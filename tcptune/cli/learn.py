"""Commands that say what tcptune knows: explain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from tcptune.cli import wiring
from tcptune.cli.console import deliver, tracked
from tcptune.cli.options import (
    AskBecomePass,
    Become,
    BecomePasswordFile,
    BecomeUser,
    Facts,
    Forks,
    Format,
    FormatOption,
    Inventory,
    Output,
    Timeout,
)
from tcptune.cli.sudo import Sudo
from tcptune.domain.explanation import Hits
from tcptune.domain.facts import Collected, HostFacts
from tcptune.domain.parameters import Parameter
from tcptune.errors import HostError, UsageError
from tcptune.knowledge.catalogue import catalogue

_PANEL = "Learn (needs no host)"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=_PANEL)(explain)


def explain(
    context: typer.Context,
    word: Annotated[
        list[str],
        typer.Argument(
            help="A setting, and hosts to look at; a cause; a counter; the text of an error; or words to search for.",
            metavar="KEY [HOST]|CAUSE|ERROR|WORD",
        ),
    ],
    kernel: Annotated[
        str | None, typer.Option("--kernel", "-k", help="Kernel release to explain it for. Default: this machine's.")
    ] = None,
    inventory: Inventory = [],  # noqa: B006  # typer reads the default, nobody changes it
    limit: Annotated[
        str | None, typer.Option("--limit", "-l", help="Say what it is on these hosts, too: an Ansible host pattern.")
    ] = None,
    become: Become = False,
    become_user: BecomeUser = None,
    ask_become_pass: AskBecomePass = False,
    become_password_file: BecomePasswordFile = None,
    facts: Facts = None,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
    forks: Forks = 8,
    timeout: Timeout = 30,
) -> None:
    """Explain a setting, a cause of trouble, a counter, or an error. Changes nothing.

    Of a setting: value, default, range, effect, risk, couplings, myths, sources. The text or name of an error leads to
    the causes that can make it; the id of a cause to its evidence, its remedies, and what else looks the same; the name
    of a counter to what it counts. What guides say and is not so is corrected.

    A word that is no setting searches names, summaries, symptoms and myths. With hosts, named behind the setting or by
    -i, --limit or --facts, it also says what the setting is on each: now, in every file that speaks of it, and at the
    next boot, and who may write it.

    Exits 0, 2 if nothing is known of it, 4 if a host could not be read.

      tcptune explain net.ipv4.tcp_fin_timeout --kernel 5.10
      tcptune explain TIME_WAIT
      tcptune explain "connection reset by peer"
      tcptune explain net.core.somaxconn web1 -i hosts.yml
    """
    from tcptune.workflows.explain import cause_of, resolve, split_hosts
    from tcptune.workflows.explain import explain as page_of

    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    known = catalogue()
    named, hosts = split_hosts(word, known)
    if hosts is None and (cause := cause_of(named, known)) is not None:
        if limit or facts is not None:
            raise UsageError(f"{named!r} is no setting: no host is looked at for it", hint="tcptune diagnose")
        deliver(cause, format, output)
        return
    if hosts and limit:
        raise UsageError("hosts are named twice", hint=f"leave out --limit {limit}, or {' '.join(word[1:])}")
    limit = hosts or limit
    found = resolve(named, known)
    if isinstance(found, Hits):
        deliver(found, format, output)
        return
    asked, page = found
    # The environment may name an inventory for every command; only what is on the command line asks for hosts.
    source = context.get_parameter_source("inventory")
    wanted = limit or ("all" if source is not None and source.name == "COMMANDLINE" else None)
    collected = list(_collected(asked, page, inventory, wanted, facts, forks, timeout, sudo))
    seen = {one.system.kernel for one in collected if isinstance(one, HostFacts)}
    release = kernel or (seen.pop() if len(seen) == 1 else wiring.running_kernel())
    result = page_of(asked, page, kernel=release, collected=collected, parameters=_only(page, asked))
    deliver(result, format, output)
    raise typer.Exit(HostError.exit_code if result.unread else 0)


def _collected(
    asked: str,
    page: Parameter,
    sources: list[str],
    limit: str | None,
    facts: Facts,
    forks: int,
    timeout_s: float,
    sudo: Sudo,
) -> Iterable[Collected]:
    if facts is not None:
        from tcptune.adapters.files import read_facts

        names = {host.name for host in wiring.inventory(sources, limit)} if limit and sources else None
        return [one for one in read_facts(facts) if names is None or one.host in names]
    if limit is None:
        return []
    from tcptune.probes import REQUIRED, WHEN_LOADED

    hosts = wiring.inventory(sources, limit, sudo.escalation())
    sudo.tell_unused(hosts)
    keys = [asked, *(bound.key for bound in page.limits)]
    return tracked(
        wiring.collector(forks, timeout_s).stream(hosts, keys, [*REQUIRED, *WHEN_LOADED, "rivals"]),
        len(hosts),
        "reading hosts",
    )


def _only(page: Parameter, asked: str) -> Mapping[str, Parameter]:
    """Return the one setting there is to judge: nothing else of the catalogue has to be read."""
    return {page.key: page, asked: page}
