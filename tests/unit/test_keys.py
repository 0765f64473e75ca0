"""Which key may go where, and the user's configuration of it."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.address import Address
from archc.diagnostics import RunError, SpecError, render
from archc.errors import UnboundKey, Unencrypted, UnfitBinding, UnlistedServer
from archc.keys import (
    WELL_KNOWN,
    bind,
    bindings,
    check_key,
    check_server,
    config_path,
    key_for,
    key_source,
    read_config,
)
from archc.source import Source


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"ARCHC_CONFIG": str(tmp_path / "conf" / "config.toml"), "OPENAI_API_KEY": "o-key", "LAB_KEY": " l-key\n"}


def configure(environ: dict[str, str], text: str) -> Path:
    path = config_path(environ)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_without_a_file_the_well_known_hosts_are_bound(environ: dict[str, str]) -> None:
    assert bindings(environ) == WELL_KNOWN
    assert key_for("api.openai.com", environ) == "o-key"
    assert key_for("api.groq.com", environ) is None
    assert key_for("example.com", environ) is None


def test_the_file_binds_more_hosts_and_rebinds_known_ones(environ: dict[str, str]) -> None:
    configure(environ, '[keys]\n"Lab.example" = "LAB_KEY"\n"api.openai.com" = "LAB_KEY"\n')
    assert key_for("lab.example", environ) == "l-key"
    assert key_for("api.openai.com", environ) == "l-key"
    assert key_for("api.openai.com", environ, "OPENAI_API_KEY") is None


@pytest.mark.parametrize(
    "place", ["example.com", "api.openai.com.evil.com", "http://api.openai.com", "127.0.0.1.nip.io"]
)
def test_a_spec_cannot_send_a_key_elsewhere(environ: dict[str, str], place: str) -> None:
    source = key_source(environ)
    assert source(place, "OPENAI_API_KEY") is None
    assert source(place, "LAB_KEY") is None
    assert source(place, None) is None


@pytest.mark.parametrize("place", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_this_machine_gets_the_key_a_spec_names(environ: dict[str, str], place: str) -> None:
    assert key_source(environ)(place, "LAB_KEY") == "l-key"
    assert key_source(environ)(place, None) is None


@pytest.mark.parametrize(
    ("url", "variable", "fits"),
    [
        ("https://api.openai.com/v1", "OPENAI_API_KEY", True),
        ("https://API.OpenAI.com:443/v1", "OPENAI_API_KEY", True),
        ("http://api.openai.com/v1", "OPENAI_API_KEY", False),
        ("https://api.openai.com/v1", "LAB_KEY", False),
        ("https://example.com/v1", "OPENAI_API_KEY", False),
        ("http://127.0.0.1:8000/v1", "LAB_KEY", True),
        ("http://[::1]:8000/v1", "LAB_KEY", True),
        ("http://localhost/v1", "LAB_KEY", True),
        ("http://127.1/v1", "LAB_KEY", False),
        ("http://2130706433/v1", "LAB_KEY", False),
        ("https://example.com/v1", None, True),
        ("nonsense", "LAB_KEY", True),
    ],
)
def test_check_key_allows_bound_hosts_and_loopback(url: str, variable: str | None, fits: bool) -> None:
    assert (check_key(url, variable, WELL_KNOWN) is None) is fits


def test_an_unbound_key_shows_the_command_that_binds_it() -> None:
    source = Source("a.yaml", "base_url: https://h.example/v1")
    found = check_key("https://h.example/v1", "LAB_KEY", {}, source.span(10))
    assert isinstance(found, UnboundKey)
    assert found.advice == "archc keys bind h.example LAB_KEY"
    assert "error[unbound-key]" in render(found)


def test_a_variable_that_a_shell_would_run_is_never_in_the_command() -> None:
    found = check_key("https://h.example/v1", "X; rm -rf /", {})
    assert isinstance(found, UnfitBinding)
    assert "rm" not in found.advice


def test_bind_keeps_all_else_and_locks_the_file(environ: dict[str, str]) -> None:
    configure(environ, '# mine\ntheme = "dark"\n\n[keys]  # secrets\n"a.b" = \'OLD\'  # why\n\n[other]\nx = 1\n')
    assert bind("A.B", "NEW", environ) == config_path(environ)
    bind("http://gpu1", "LAB_KEY", environ)
    bind("::1", "LAB_KEY", environ)
    assert config_path(environ).read_text() == (
        '# mine\ntheme = "dark"\n\n[keys]  # secrets\n"::1" = "LAB_KEY"\n"http://gpu1" = "LAB_KEY"\n'
        '"a.b" = "NEW"  # why\n\n[other]\nx = 1\n'
    )
    assert stat.S_IMODE(config_path(environ).stat().st_mode) == 0o600
    assert list(config_path(environ).parent.iterdir()) == [config_path(environ)]
    assert key_for("http://gpu1", environ) == "l-key"
    assert key_for("gpu1", environ) is None


@pytest.mark.parametrize("text", ["", 'theme = "dark"', "[other]\nx = 1\n"])
def test_bind_makes_the_file_and_the_table(environ: dict[str, str], text: str) -> None:
    if text:
        configure(environ, text)
    bind("h.example", "LAB_KEY", environ)
    assert bindings(environ)["h.example"] == "LAB_KEY"
    assert text in config_path(environ).read_text()


def test_bind_follows_a_link_to_the_file(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "dotfiles.toml").write_text("")
    config_path(environ).parent.mkdir()
    config_path(environ).symlink_to(tmp_path / "dotfiles.toml")
    bind("h.example", "LAB_KEY", environ)
    assert config_path(environ).is_symlink()
    assert bindings(environ)["h.example"] == "LAB_KEY"


@pytest.mark.parametrize("text", ['keys = {"a.b" = "OLD"}\n', 'keys."a.b" = "OLD"\n', 't = """\n[keys]\n"""\n'])
def test_bind_leaves_alone_what_it_cannot_edit(environ: dict[str, str], text: str) -> None:
    path = configure(environ, text)
    with pytest.raises(SpecError, match="by hand"):
        bind("a.b", "NEW", environ)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("place", "variable"),
    [
        ("h.example", "no-dash"),
        ("h.example", ""),
        ("h.example", 'X"\n[evil]'),
        ("h.example/v1", "K"),
        ("h.example:80", "K"),
        ("https://h.example", "K"),
        ("a b", "K"),
        ("", "K"),
        ('h"', "K"),
        ("u@h", "K"),
        ("h.example", "keyring:archc"),
        ("h.example", "keyring:/me"),
        ("h.example", 'keyring:a/"b'),
        ("h.example", "keyring:a b/c"),
    ],
)
def test_bind_refuses_what_is_no_host_or_no_variable(environ: dict[str, str], place: str, variable: str) -> None:
    with pytest.raises(SpecError) as caught:
        bind(place, variable, environ)
    assert isinstance(caught.value.diagnostics[0], UnfitBinding)
    assert not config_path(environ).exists()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("x = 1\n[keys\n", ":2:6"),
        ('[keys]\napi.example.com = "K"\n', ":2:1"),
        ('[keys]\n"a.b" = 3\n', ":2:2"),
        ('[keys]\n"a.b" = "no dash"\n', ":2:2"),
        ('[keys]\n"a.b/c" = "K"\n', ":2:2"),
        ("keys = 3\n", ""),
        ("servers = 3\n", ":1:1"),
        ('[servers]\nallowed = ["a.b"]\n', ":1:2"),
        ('[servers]\nallow = "everything but bad"\n', ":2:10"),
        ('[servers]\nallow = ["a.b/v1"]\n', ":2:11"),
        ("[servers]\nallow = [3]\n", ":2:10"),
        ('x = "', ""),
    ],
)
def test_a_broken_file_is_shown_with_its_place(environ: dict[str, str], text: str, where: str) -> None:
    path = configure(environ, text)
    with pytest.raises(SpecError) as caught:
        bindings(environ)
    shown = render(caught.value.diagnostics[0])
    assert "error[broken-config]" in shown
    assert f"{path}{where}" in shown


def test_a_file_that_is_not_text_is_a_spec_error(environ: dict[str, str]) -> None:
    configure(environ, "").write_bytes(b"\xff")
    with pytest.raises(SpecError, match="can't be used"):
        bindings(environ)


# ---- the keyring


class Rings:
    """A package `keyring` with one key, or one that breaks."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken

    def get_password(self, service: str, user: str) -> str | None:
        if self.broken:
            raise OSError("locked")
        return " ring-key\n" if (service, user) == ("archc", "me/2") else None


def test_a_key_can_be_in_the_keyring(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", Rings())
    bind("h.example", "keyring:archc/me/2", environ)
    assert bindings(environ)["h.example"] == "keyring:archc/me/2"
    assert key_for("h.example", environ) == "ring-key"
    assert key_for("h.example", environ, "LAB_KEY") is None
    assert key_for("other.example", environ) is None


@pytest.mark.parametrize(
    ("ring", "entry", "said"),
    [
        (None, "archc/me", "is not installed"),
        (Rings(), "archc/you", "`archc` has no key of `you`"),
        (Rings(broken=True), "archc/me", "OSError: locked"),
    ],
)
def test_a_keyring_that_gives_no_key_says_what_to_do(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, ring: Rings | None, entry: str, said: str
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", ring)
    bind("h.example", f"keyring:{entry}", environ)
    with pytest.raises(RunError) as caught:
        key_for("h.example", environ)
    assert caught.value.diagnostic.name == "unusable-keyring"
    assert said in caught.value.diagnostic.headline
    assert caught.value.diagnostic.advice


# ---- which servers


@pytest.mark.parametrize(
    ("allow", "url", "said"),
    [
        (None, "https://h.example/v1", None),
        (None, "http://127.0.0.1:8000/v1", None),
        (None, "http://h.example/v1", Unencrypted),
        ('["h.example"]', "https://H.example:8443/v1", None),
        ('["h.example"]', "http://h.example/v1", UnlistedServer),
        ('["http://h.example"]', "http://h.example/v1", None),
        ('["http://h.example"]', "https://h.example/v1", UnlistedServer),
        ('["h.example"]', "https://h.example.evil.com/v1", UnlistedServer),
        ('["h.example"]', "http://localhost/v1", UnlistedServer),
        ('["loopback"]', "http://localhost/v1", None),
        ('["loopback"]', "http://[::1]:8000/v1", None),
        ('["127.0.0.1"]', "http://127.0.0.1:8000/v1", None),
        ('["127.0.0.1"]', "http://127.0.0.2:8000/v1", UnlistedServer),
        ('["loopback"]', "https://loopback/v1", UnlistedServer),
        ('["loopback"]', "http://127.0.0.1.nip.io/v1", UnlistedServer),
        ("[]", "https://h.example/v1", UnlistedServer),
        ("[]", "nonsense", None),
    ],
)
def test_a_spec_may_name_the_servers_that_are_listed(
    environ: dict[str, str], allow: str | None, url: str, said: type | None
) -> None:
    if allow is not None:
        configure(environ, f"[servers]\nallow = {allow}\n")
    found = check_server(url, read_config(environ))
    assert found is None if said is None else isinstance(found, said)


def test_who_binds_a_key_to_an_unencrypted_server_is_not_warned_of_it(environ: dict[str, str]) -> None:
    bind("http://h.example", "LAB_KEY", environ)
    assert check_server("http://h.example/v1", read_config(environ)) is None
    assert check_server("http://i.example/v1", read_config(environ), has_key=True) is None
    assert check_server("http://i.example/v1", read_config(environ)) is not None


@given(st.text() | st.text("ht:/@[]%.a1?#\\é").map("http://".__add__))
def test_an_address_is_refused_or_reads_back_as_itself(url: str) -> None:
    try:
        address = Address.parse(url)
    except ValueError:
        return
    assert Address.parse(str(address)) == address
