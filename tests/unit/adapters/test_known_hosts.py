from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tcptune.adapters.known_hosts import KnownHosts, known_hosts
from tcptune.adapters.ssh_config import Target
from tcptune.errors import HostKeyRefused

TARGET = Target(
    host="web1",
    hostname="web1.example",
    port=22,
    user="root",
    key_files=(),
    identities_only=False,
    known_hosts=(),
    key_alias=None,
    jumps=(),
    proxy_command=None,
    timeout_s=10,
    config=None,
)


def ed25519() -> paramiko.PKey:
    public = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return paramiko.Ed25519Key(data=base64.b64decode(public.split()[1]))


KEY, OTHER, ECDSA = ed25519(), ed25519(), paramiko.ECDSAKey.generate()


def line(names: str, key: paramiko.PKey = KEY, mark: str = "") -> str:
    return f"{mark}{names} {key.get_name()} {key.get_base64()} a comment\n"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [tmp_path / "known_hosts", tmp_path / "known_hosts2", tmp_path / "missing"]


def known(files: list[Path], *texts: str) -> KnownHosts:
    for path, text in zip(files, texts, strict=False):
        path.write_text(text)
    return KnownHosts(tuple(files))


def refused(keys: KnownHosts, target: Target = TARGET, key: paramiko.PKey = KEY) -> HostKeyRefused:
    with pytest.raises(HostKeyRefused) as refusal:
        keys.check(target, key)
    return refusal.value


def test_the_key_that_is_known_is_accepted(files: list[Path]) -> None:
    known(files, line("web1.example")).check(TARGET, KEY)


@pytest.mark.parametrize(
    "names", ["web1.example,192.0.2.1", "other,web1.example", "*.example", "web?.example", "WEB1.example", "!db*,*"]
)
def test_a_line_may_name_several_hosts(files: list[Path], names: str) -> None:
    known(files, line(names)).check(TARGET, KEY)


def test_the_name_may_be_hashed(files: list[Path]) -> None:
    keys = known(files, line(paramiko.HostKeys.hash_host("web1.example")))

    keys.check(TARGET, KEY)
    assert "not known" in str(refused(keys, replace(TARGET, hostname="web2.example")))


@pytest.mark.parametrize("names", ["web1.example.org", "eb1.example", "web1", "!web1.example,*", "[web1.example]:22"])
def test_a_line_that_names_others_does_not_speak_of_the_host(files: list[Path], names: str) -> None:
    assert "not known" in str(refused(known(files, line(names))))


def test_a_key_in_any_of_the_files_is_known(files: list[Path]) -> None:
    keys = known(files, line("web2.example"), line("web1.example", OTHER))

    keys.check(replace(TARGET, hostname="web2.example"), KEY)
    keys.check(TARGET, OTHER)


def test_an_unknown_host_is_refused_with_its_fingerprint_and_the_files_that_were_read(files: list[Path]) -> None:
    refusal = refused(known(files, line("web2.example")))

    assert str(refusal) == (f"web1: the host key of web1.example is not known ({KEY.get_name()} {KEY.fingerprint})")
    assert "ssh web1.example true" in (refusal.hint or "")
    assert str(files[2]) in (refusal.hint or "")


def test_without_any_file_every_host_is_unknown() -> None:
    assert "no known_hosts file" in (refused(KnownHosts(())).hint or "")


def test_another_key_than_the_known_one_is_refused_with_both_fingerprints(files: list[Path]) -> None:
    refusal = refused(known(files, line("web1.example", OTHER)))

    assert KEY.fingerprint in str(refusal)
    assert OTHER.fingerprint in str(refusal)
    assert "ssh-keygen -R web1.example" in (refusal.hint or "")


def test_a_key_of_another_kind_than_the_known_one_is_refused(files: list[Path]) -> None:
    assert "known_hosts says" in str(refused(known(files, line("web1.example", ECDSA))))


def test_of_several_known_keys_the_one_of_the_same_kind_is_shown(files: list[Path]) -> None:
    said = str(refused(known(files, line("web1.example", ECDSA) + line("web1.example", OTHER))))

    assert f"known_hosts says {OTHER.fingerprint}" in said


def test_a_line_that_holds_no_key_is_said_to_hold_none(files: list[Path]) -> None:
    said = str(refused(known(files, f"web1.example {KEY.get_name()} !!!!\n")))

    assert "known_hosts says a line that holds no key" in said


@pytest.mark.parametrize("end", ["", " ", " a comment", " a comment of many words"])
def test_a_line_may_end_in_a_comment_or_not(files: list[Path], end: str) -> None:
    key = f"web1.example {KEY.get_name()} {KEY.get_base64()}{end}\n"

    known(files, key).check(TARGET, KEY)
    assert "is revoked" in str(refused(known(files, f"{key}@revoked {key}")))


def test_each_kind_of_key_is_compared_with_its_own(files: list[Path]) -> None:
    keys = known(files, line("web1.example", ECDSA) + line("web1.example"))

    keys.check(TARGET, KEY)
    keys.check(TARGET, ECDSA)
    refused(keys, key=OTHER)


@pytest.mark.parametrize(
    "texts",
    [(line("web1.example") + line("web1.example", OTHER),), (line("web1.example"), line("web1.example", OTHER))],
    ids=["one file", "two files"],
)
def test_while_a_key_is_rotated_either_of_two_known_ones_is_accepted(files: list[Path], texts: tuple[str, ...]) -> None:
    keys = known(files, *texts)

    keys.check(TARGET, KEY)
    keys.check(TARGET, OTHER)


@pytest.mark.parametrize("where", ["web1.example", "*", "another.example"])
def test_a_revoked_key_is_refused_even_where_it_is_also_known(files: list[Path], where: str) -> None:
    refusal = refused(known(files, line("web1.example") + line(where, mark="@revoked ")))

    assert "is revoked" in str(refusal)


def test_a_key_revoked_in_another_file_is_refused(files: list[Path]) -> None:
    assert "is revoked" in str(refused(known(files, line("web1.example"), line("*", mark="@revoked "))))


def test_a_certificate_authority_is_no_host_key(files: list[Path]) -> None:
    assert "not known" in str(refused(known(files, line("web1.example", mark="@cert-authority "))))


# Under which name


def test_another_port_has_an_entry_of_its_own(files: list[Path]) -> None:
    keys = known(files, line("[web1.example]:2222"))

    keys.check(replace(TARGET, port=2222), KEY)
    refused(keys)
    assert "ssh-keygen -R [web1.example]:2222" in (refused(keys, replace(TARGET, port=2222), OTHER).hint or "")


def test_an_alias_stands_for_name_and_port(files: list[Path]) -> None:
    keys = known(files, line("fleet"))

    keys.check(replace(TARGET, key_alias="fleet", port=2222), KEY)
    refused(keys, replace(TARGET, key_alias="other"))


def test_files_are_parsed_once_for_a_whole_fleet(files: list[Path]) -> None:
    files[0].write_text(line("web1.example"))

    assert known_hosts(tuple(files)) is known_hosts(tuple(files))
    known_hosts(tuple(files)).check(TARGET, KEY)


def test_what_is_written_to_a_file_later_counts(files: list[Path]) -> None:
    refused(known_hosts(tuple(files)))

    files[0].write_text(line("web1.example"))
    known_hosts(tuple(files)).check(TARGET, KEY)

    files[0].write_text(line("web1.example,web2.example", OTHER))
    refused(known_hosts(tuple(files)))

    files[1].write_text(line("web1.example"))
    known_hosts(tuple(files)).check(TARGET, KEY)

    with files[1].open("a") as file:
        file.write(line("*", mark="@revoked "))
    assert "revoked" in str(refused(known_hosts(tuple(files))))


# Which kinds to ask for


def test_the_kinds_that_are_known_are_asked_for_first(files: list[Path]) -> None:
    rsa = paramiko.RSAKey.generate(2048)
    keys = known(files, line("web1.example", rsa) + line("web1.example"))

    assert keys.algorithms(TARGET) == ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa", "ssh-ed25519")
    assert keys.algorithms(replace(TARGET, hostname="web9.example")) == ()


# Files as they are found


@pytest.mark.parametrize(
    "noise",
    [
        "# a comment\n\n",
        "garbage\n",
        "web1.example ssh-ed25519\n",
        "web1.example ssh-ed25519 !!!!notbase64\n",
        "web1.example ssh-ed25519 AAAA\n",
        "web1.example ssh-unheard-of AAAAC3NzaC1lZDI1NTE5AAAAIA==\n",
        "@revoked\n",
        "|1|AAAA|AAAA ssh-ed25519 AAAA\n",
        "|1|!!!!|!!!! ssh-ed25519 AAAA\n",
        "|1| ssh-ed25519 AAAA\n",
        "|1|\u00e9|\u00e9 ssh-ed25519 AAAA\n",
    ],
)
def test_a_line_that_makes_no_sense_does_not_hide_the_others(files: list[Path], noise: str) -> None:
    known(files, noise + line("web1.example")).check(TARGET, KEY)


def test_a_comment_in_another_encoding_does_no_harm(files: list[Path]) -> None:
    files[0].write_bytes(b"# caf\xe9\n" + line("web1.example").encode())

    KnownHosts(tuple(files)).check(TARGET, KEY)
