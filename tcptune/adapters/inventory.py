"""Hosts from an Ansible inventory, read by Ansible itself: any source, plugin, group_vars, vault and ansible.cfg."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tcptune.domain.hosts import NO_ESCALATION, Connection, Declared, Escalation, Host, Secrets
from tcptune.errors import InventoryError, UsageError

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SSH_PLUGINS = frozenset({"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"})
_DEFAULT_SSH_ARGS = "-C -o ControlMaster=auto -o ControlPersist=60s"
_LOCAL_PLUGINS = frozenset({"local", "ansible.builtin.local"})

# Ansible's own default is to warn and go on; a fleet tool that quietly lost half of the fleet is no use.
_STRICT = {"INVENTORY_ANY_UNPARSED_IS_FAILED": True, "HOST_PATTERN_MISMATCH": "error"}


def read_hosts(
    sources: Sequence[str],
    limit: str = "all",
    escalation: Escalation = NO_ESCALATION,
    *,
    any_connection: bool = False,
) -> list[Host]:
    """Return the hosts of `sources` that match the pattern `limit`, in inventory order.

    With `any_connection`, hosts of other connection plugins are among them, for whoever leaves the way to Ansible.

    `escalation` ranks as Ansible's own -b, --become-user and -K do: below a host's variables, above the environment
    and ansible.cfg.

    Raises InventoryError where Ansible cannot read a source, UsageError where no host matches the pattern.
    """
    _check_exist(sources)
    with _strict_ansible():
        # Here, not above: importing Ansible takes a quarter of a second.
        from ansible.errors import AnsibleError

        try:
            from ansible import constants
        except AnsibleError as problem:
            raise InventoryError(f"ansible.cfg: {_brief(problem)}") from None
        with _strict_constants(constants):
            return _matched(list(sources), limit, escalation, any_connection, constants)


def _matched(
    sources: list[str], limit: str, escalation: Escalation, any_connection: bool, constants: Any
) -> list[Host]:
    from ansible.errors import AnsibleError
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import become_loader, connection_loader
    from ansible.template import Templar
    from ansible.vars.manager import VariableManager

    # Registers the plugins' options with the configuration, so that it can answer for them below.
    sources = sources or _default_sources(constants)
    connection_loader.get("ssh", class_only=True)
    become_loader.get("sudo", class_only=True)
    loader = DataLoader()
    try:
        _unlock_vault(loader, constants)
        inventory = InventoryManager(loader=loader, sources=sources)
        variables = VariableManager(loader=loader, inventory=inventory)
    except AnsibleError as problem:
        raise InventoryError(_brief(problem), hint=f"ansible-inventory -i {' -i '.join(sources)} --list") from None
    try:
        inventory.subset(limit)
        matched = inventory.list_hosts("all")
    except AnsibleError as problem:
        reason = _brief(problem).replace("Could not match supplied host pattern, ignoring:", "nothing is named")
        raise UsageError(f"--limit {limit}: {reason}", hint=_known(inventory)) from None
    if not matched and limit == "all":
        raise InventoryError(f"{', '.join(sources)}: this inventory has no hosts")
    if not matched:
        raise UsageError(f"no host of the inventory matches {limit!r}", hint=_known(inventory))
    hosts = []
    for host in matched:
        try:
            values = variables.get_vars(host=host)
            templar = Templar(loader=loader, variables=values)
            hosts.append(_host(str(host.name), values, templar, constants, escalation, any_connection))
        except AnsibleError as problem:
            raise InventoryError(f"{host.name}: {_brief(problem)}") from None
    return hosts


def _host(
    name: str,
    variables: Mapping[str, Any],
    templar: Any,
    constants: Any,
    escalation: Escalation,
    any_connection: bool = False,
) -> Host:
    ours = {k: _plain(templar.template(v)) for k, v in variables.items() if k.startswith("ansible_") and _single(v)}

    def option(field: str, plugin: str = "ssh", kind: str = "connection", said: str | None = None) -> Any:
        value, origin = constants.config.get_config_value_and_origin(
            field, plugin_type=kind, plugin_name=plugin, variables=ours, keys=None if said is None else {field: said}
        )
        if str(origin).startswith("keyword"):
            # From the command line: a password may look like a template and is none.
            return said
        return templar.template(value) if isinstance(value, str) else value

    # `inventory_hostname` is the option's last resort, and no magic variable of the inventory.
    address = str(option("host") or name) if "ansible_host" in ours or "ansible_ssh_host" in ours else name
    kind = str(ours.get("ansible_connection", constants.DEFAULT_TRANSPORT))
    if "ansible_connection" not in ours and name in _LOCAL_NAMES and address == name:
        kind = "local"
    if kind not in _SSH_PLUGINS | _LOCAL_PLUGINS and not any_connection:
        raise InventoryError(
            f"{name}: ansible_connection {kind} is not supported; ssh and local are",
            hint=f"read it with --via ansible, or leave it out with --limit '!{name}'",
        )
    if kind not in _SSH_PLUGINS | _LOCAL_PLUGINS:
        return Host(
            name=name,
            connection=Connection(kind="plugin", address=address),
            declared=_declared(name, variables, templar),
        )
    become = _truth(ours.get("ansible_become", escalation.become or constants.DEFAULT_BECOME))
    password = escalation.password.get_secret_value() if escalation.password else None
    port, timeout = option("port"), option("timeout")
    return Host(
        name=name,
        connection=Connection(
            kind="local" if kind in _LOCAL_PLUGINS else "ssh",
            address=address,
            port=int(port) if port else None,
            user=_text(option("remote_user")),
            key_file=_text(option("private_key_file")),
            ssh_args=_words(name, [option(f) for f in ("ssh_args", "ssh_common_args", "ssh_extra_args")]),
            timeout_s=float(timeout or 10),
            become=become,
            become_user=str(option("become_user", "sudo", "become", escalation.user) or "root"),
            become_method=str(ours.get("ansible_become_method", constants.DEFAULT_BECOME_METHOD)),
            python=_text(ours.get("ansible_python_interpreter")),
        ),
        declared=_declared(name, variables, templar),
        secrets=Secrets(
            login=_text(option("password")), become=_text(option("become_pass", "sudo", "become", password))
        ),
    )


def _declared(name: str, variables: Mapping[str, Any], templar: Any) -> Declared:
    """Return what tcptune_roles, tcptune_load, tcptune_labels and its groups say of a host."""
    roles = templar.template(variables.get("tcptune_roles", []))
    roles = [roles] if isinstance(roles, str) else roles
    if not isinstance(roles, Sequence) or not all(isinstance(role, str) for role in roles):
        raise InventoryError(f"{name}: tcptune_roles is a list of names", hint="tcptune_roles: [edge]")
    load = templar.template(variables.get("tcptune_load", {}))
    if not isinstance(load, Mapping):
        raise InventoryError(
            f"{name}: tcptune_load maps names to numbers", hint="tcptune_load: {peak_connections_per_s: 5000}"
        )
    numbers = {}
    for variable, value in load.items():
        try:
            # Jinja2 gives text where the inventory has an expression.
            numbers[str(variable)] = _finite(value)
        except (TypeError, ValueError):
            raise InventoryError(f"{name}: tcptune_load: {variable} is {value!r}, which is no number") from None
    return Declared(
        roles=tuple(str(role) for role in roles),
        load=numbers,
        labels=_labels(name, templar.template(variables.get("tcptune_labels", {}))),
        groups=tuple(str(g) for g in sorted(variables.get("group_names", ())) if g not in {"all", "ungrouped"}),
    )


def _labels(name: str, given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise InventoryError(f"{name}: tcptune_labels maps names to texts", hint="tcptune_labels: {rack: r1}")
    for label, value in given.items():
        # A host whose rack is not known must not look as if it stood in one. An unquoted `no` is a boolean to YAML.
        if not _single(value) or isinstance(value, bool) or not str(value).strip():
            raise InventoryError(f"{name}: tcptune_labels: {label} is {value!r}, which is no text")
    return {str(label): " ".join(str(value).split()) for label, value in given.items()}


def _finite(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(value)
    return number


def vault_environment() -> dict[str, str]:
    """Return the variables by which another Ansible finds the vault's password where this one found it.

    Only after `read_hosts`, which has read ansible.cfg.
    """
    from ansible import constants

    found = {}
    if constants.DEFAULT_VAULT_PASSWORD_FILE:
        found["ANSIBLE_VAULT_PASSWORD_FILE"] = str(constants.DEFAULT_VAULT_PASSWORD_FILE)
    if constants.DEFAULT_VAULT_IDENTITY_LIST:
        named = [str(identity).rpartition("@") for identity in constants.DEFAULT_VAULT_IDENTITY_LIST]
        # Ansible runs in another folder there.
        found["ANSIBLE_VAULT_IDENTITY_LIST"] = ",".join(
            f"{label}{at}{Path(path).absolute()}" for label, at, path in named
        )
    return found


def plugin_environment() -> dict[str, str]:
    """Return the variables by which another Ansible finds the plugins and collections that this one finds.

    Only after `read_hosts`, which has read ansible.cfg. Its own place for collections comes first there.
    """
    from ansible import constants

    return {
        "ANSIBLE_CONNECTION_PLUGINS": os.pathsep.join(map(str, constants.DEFAULT_CONNECTION_PLUGIN_PATH)),
        "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(["./collections", *map(str, constants.COLLECTIONS_PATHS)]),
    }


def _single(value: object) -> bool:
    return value is not None and not isinstance(value, dict | list | tuple)


def _plain(value: object) -> str | int | float | bool:
    # A value from the vault is an object of Ansible's; turning it into text is what opens it.
    return value if isinstance(value, bool | int | float) else str(value)


def _words(name: str, texts: Sequence[object]) -> tuple[str, ...]:
    words: list[str] = []
    for text in texts:
        # Ansible's own default is about sharing connections, which is no matter of ours.
        if text and text != _DEFAULT_SSH_ARGS:
            try:
                words += shlex.split(str(text))
            except ValueError as problem:
                raise InventoryError(f"{name}: the arguments of ssh cannot be split: {problem}: {text}") from None
    return tuple(words)


def _unlock_vault(loader: Any, constants: Any) -> None:
    from ansible.parsing.vault import VaultSecretsContext, get_file_vault_secret

    named = [("default", constants.DEFAULT_VAULT_PASSWORD_FILE)] if constants.DEFAULT_VAULT_PASSWORD_FILE else []
    for identity in constants.DEFAULT_VAULT_IDENTITY_LIST or []:
        label, _, path = str(identity).rpartition("@")
        named.append((label or "default", path))
    secrets = []
    for label, path in named:
        secret = get_file_vault_secret(filename=path, vault_id=label, loader=loader)
        secret.load()
        secrets.append((label, secret))
    loader.set_vault_secrets(secrets)
    # A single value in the vault is opened when it is used, by what stands here.
    if VaultSecretsContext.current(optional=True) is None:
        VaultSecretsContext.initialize(VaultSecretsContext(secrets))


def _default_sources(constants: Any) -> list[str]:
    """Return the inventory that ansible.cfg or ANSIBLE_INVENTORY names."""
    named = [str(source) for source in constants.DEFAULT_HOST_LIST]
    if not all("," in source or Path(source).exists() for source in named):
        raise UsageError("no inventory was given", hint="-i hosts.yml, or -i localhost, for this machine")
    return named


def _check_exist(sources: Sequence[str]) -> None:
    for source in sources:
        # 'web1,web2' and 'web1,' are host lists.
        if "," not in source and not Path(source).exists():
            raise InventoryError(
                f"{source}: no such inventory", hint="a file, a folder, or a list such as 'web1,web2,'"
            )


def _known(inventory: Any) -> str:
    groups = sorted(str(g) for g in inventory.groups if str(g) not in {"all", "ungrouped"})
    inventory.subset(None)
    hosts = [str(h.name) for h in inventory.list_hosts("all")]
    few = ", ".join(hosts[:5]) + (", ..." if len(hosts) > 5 else "")
    return f"hosts: {few}" + (f"; groups: {', '.join(groups[:8])}" if groups else "")


def _brief(problem: Exception) -> str:
    return " ".join(str(problem).split())[:300]


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None


def _truth(value: object) -> bool:
    return value if isinstance(value, bool) else str(value).strip().lower() in {"1", "true", "yes", "on", "y", "t"}


@contextmanager
def _strict_ansible() -> Iterator[None]:
    """Set Ansible's strict options for as long as the inventory is read; what it starts later does not see them."""
    names = {option: f"ANSIBLE_{option}" for option in _STRICT}
    before = {name: os.environ.get(name) for name in names.values()}
    os.environ.update({names[option]: str(value) for option, value in _STRICT.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _strict_constants(constants: Any) -> Iterator[None]:
    """Do the same where Ansible had been imported before: the environment comes too late then."""
    before = {option: getattr(constants, option) for option in _STRICT}
    vars(constants).update(_STRICT)
    try:
        yield
    finally:
        vars(constants).update(before)
