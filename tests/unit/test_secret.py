"""What a secret is told by, and that it is found in whatever form it comes back."""

from __future__ import annotations

import base64
import json
import pickle
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.secret import Secret, has_key, masked, masked_line, names_secret, variable_of_secret

KEY = "sk-ca/na+ry=0123456789"


def test_a_secret_does_not_show() -> None:
    secret = Secret(KEY)
    assert f"{secret} {secret!r} {secret!s} {[secret]}" == "*** *** *** [***]"
    assert secret.reveal() == KEY
    with pytest.raises(TypeError):
        pickle.dumps(secret)


FORMS = {
    "plain": KEY,
    "for a URL": quote(KEY, safe=""),
    "for a URL, small": quote(KEY, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d"),
    "JSON": json.dumps(KEY),
    "hexadecimal": KEY.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_it_is_found_in_every_form(form: str) -> None:
    assert Secret(KEY).redact(f"<{form}>").strip('<">') == "***"


@given(
    st.text("abcXYZ019-_/+=.~!'\"\\", min_size=8, max_size=80),
    st.binary(max_size=40),
    st.binary(max_size=40),
    st.booleans(),
)
def test_it_is_found_in_base64_of_anything_around_it(key: str, before: bytes, after: bytes, is_for_urls: bool) -> None:
    encode = base64.urlsafe_b64encode if is_for_urls else base64.b64encode
    cleaned = Secret(key).redact(encode(before + key.encode() + after).decode())
    assert "***" in cleaned
    left = max(cleaned.split("***"), key=len)
    assert len(left) <= len(encode(before)) + len(encode(after)) + 4


@given(st.text(st.characters(exclude_characters="*"), min_size=1), st.text())
def test_nothing_of_it_is_left(key: str, around: str) -> None:
    assert key not in Secret(key).redact(around + key + around)


def test_a_placeholder_may_be_a_word_of_an_answer() -> None:
    assert Secret("EMPTY").redact_answer("EMPTY means nothing") == "EMPTY means nothing"
    assert Secret("EMPTY").redact("bad key EMPTY") == "bad key ***"
    assert Secret(KEY).redact_answer(f"it is {KEY}") == "it is ***"
    assert Secret().redact("a text") == Secret().redact_answer("a text") == "a text"


LOOKS = [
    "sk-proj-0123456789abcdef",
    "sk-ant-api03-abcDEF0123456789",
    "gsk_0123456789abcdef0123",
    "hf_AbCdEfGhIjKlMnOp0123",
    "AIzaSyA0123456789abcdefghijklmnopqrstuv",
    "xai-0123456789abcdef",
    "AKIA0123456789ABCDEF",
    "github_pat_0123456789abcdefghij",
    "Bearer abc123def456",
    "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
]


@pytest.mark.parametrize("text", LOOKS)
def test_keys_are_told_by_their_look(text: str) -> None:
    assert has_key(text)
    assert has_key(f"prefix {text}, and more")
    assert masked(f'"{text}"') == f'"{"*" * len(text)}"'


@pytest.mark.parametrize(
    "text", ["sk-learn", "a-sk-model-with-a-long-name", "task-0123456789abcdef", "Qwen/Qwen3-8B", ""]
)
def test_other_words_are_none(text: str) -> None:
    assert not has_key(text)
    assert masked(text) == text


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((name, True) for name in ("api_key", "apiKey", "API-Key", "x-api-key", "Authorization", "password")),
        *((name, True) for name in ("token", "access_token", "hf_api_token", "client_secret", "openai_api_key")),
        *((name, False) for name in ("api_key_env", "max_tokens", "stop_token", "eos_token_id", "key", "top_k", "")),
    ],
)
def test_secrets_are_told_by_what_they_are_called(name: str, is_one: bool) -> None:
    assert names_secret(name) is is_one


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((name, True) for name in ("OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "db_password")),
        *((name, False) for name in ("BASE_URL", "MODEL", "MONKEY", "TOKENS", "KEYS_FILE")),
    ],
)
def test_variables_of_secrets_are_told_by_their_name(name: str, is_one: bool) -> None:
    assert variable_of_secret(name) is is_one


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("    api_key: hunter2", "    api_key: *******"),
        ('m: {api_key: "hunter 2", n: 4}', 'm: {api_key: "********", n: 4}'),
        ("m: {Authorization: 'Bearer x', n: 4}", "m: {Authorization: '********', n: 4}"),
        ('openai("m", password="hunter2")', 'openai("m", password="*******")'),
        ("token=hunter2, n=4", "token=*******, n=4"),
        ("api_key_env: OPENAI_API_KEY", "api_key_env: OPENAI_API_KEY"),
        ("max_tokens: 5", "max_tokens: 5"),
        ("api_key: ${OPENAI_API_KEY}", "api_key: ${OPENAI_API_KEY}"),
        ("# api_key:", "# api_key:"),
    ],
)
def test_lines_of_specs_are_shown_without_secrets(line: str, shown: str) -> None:
    assert masked_line(line) == shown


@pytest.mark.parametrize("piece", ["sk-", "eyJ-", "eyJabcdefgh.", "Bearer ", "api_key", 'x: "', "token: '", "a=", "-"])
def test_hostile_lines_are_masked_in_no_time_worth_speaking_of(piece: str) -> None:
    line = piece * (65536 // len(piece))
    assert len(masked_line(line)) == len(line)
