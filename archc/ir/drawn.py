"""Drawn: from completions to candidates."""

from __future__ import annotations

from archc.calls import Completion, Conversation, Finish, Message
from archc.values import Candidate, Text


def candidate_of(completion: Completion) -> Candidate:
    """The candidate that a completion makes."""
    return Candidate((Text(completion.text),), logprob=completion.logprob, truncated=completion.finish is Finish.LENGTH)


def with_system(messages: Conversation, text: str) -> Conversation:
    """The messages with one system text instead of their own."""
    return (Message("system", text), *(m for m in messages if m.role != "system"))
