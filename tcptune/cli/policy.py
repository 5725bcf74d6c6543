"""Commands about rollout policies: list, show, validate, waves, schema. They read no host and change nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tcptune.cli import wiring
from tcptune.cli.console import deliver, text
from tcptune.cli.options import Format, FormatOption, Inventory, Output, PlanArg
from tcptune.errors import PolicyError
from tcptune.reports.layout import count

policy = typer.Typer(
    name="policy",
    help="List, show and check rollout policies, and the waves they give. Changes nothing.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
PolicyArg = Annotated[
    str,
    typer.Argument(help="Name of a built-in policy (`tcptune policy list`), or a YAML file.", metavar="POLICY"),
]


@policy.command("list")
def list_policies(format: FormatOption = Format.TERMINAL, output: Output = None) -> None:  # noqa: A002
    """List the built-in policies. Changes nothing.

    Exits 0.

      tcptune policy list
    """
    from tcptune.adapters.policies import list_built_in_policies

    deliver(list_built_in_policies(), format, output)


@policy.command()
def show(policy: PolicyArg, format: FormatOption = Format.TERMINAL, output: Output = None) -> None:  # noqa: A002
    """Show POLICY with its defaults. Changes nothing.

    Exits 0, or 3 if the policy is wrong.

      tcptune policy show standard
    """
    from tcptune.adapters.policies import load_policy

    deliver(load_policy(policy), format, output)


@policy.command()
def validate(files: Annotated[list[Path], typer.Argument(help="Policy files.", metavar="FILE...")]) -> None:
    """Check policy files. Every mistake is told, with line, column and a hint. Changes nothing.

    Exits 0 if all are right, 3 if one is not.

      tcptune policy validate policies/*.yml
    """
    from tcptune.adapters.policies import load_policy_file

    wrong = []
    for path in files:
        try:
            found = load_policy_file(path)
        except PolicyError as problem:
            wrong.append(problem)
        else:
            typer.echo(f"{path}: waves {', '.join(found.waves)}, {count(len(found.gates), 'gate')}, no mistake")
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        told = [f"{problem}\n  try: {problem.hint}" if problem.hint else str(problem) for problem in wrong]
        raise PolicyError("\n".join([f"{len(wrong)} of {len(files)} files are wrong", *told]))


@policy.command()
def waves(
    policy: PolicyArg,
    plan: PlanArg,
    inventory: Inventory = [],  # noqa: B006  # typer reads the default, nobody changes it
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """Show the waves in which POLICY takes the hosts of PLAN, and why. Changes nothing.

    Labels and groups of hosts come from the inventory.

    Exits 0, or 3 if the policy is wrong or these hosts cannot meet it.

      tcptune policy waves ./careful.yml plan.json -i hosts.yml
    """
    from tcptune.adapters.files import read_plan
    from tcptune.adapters.policies import load_policy
    from tcptune.planning.waves import cut_waves

    wanted, found = load_policy(policy), read_plan(plan)
    declared = {host.name: host.declared for host in wiring.hosts_of(found, inventory)}
    deliver(cut_waves(found, wanted, declared), format, output)


@policy.command()
def schema(output: Output = None) -> None:
    """Print the JSON Schema of policy files, for completion in editors. Changes nothing.

    Exits 0.

      tcptune policy schema -o policy.schema.json
    """
    from tcptune.adapters.policies import policy_schema

    text(json.dumps(policy_schema(), indent=2) + "\n", output)
