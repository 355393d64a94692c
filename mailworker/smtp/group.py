"""Without CHUNKING: a mail's commands up to DATA in one write (RFC 2920), and whether the relay bears that.

What a relay refuses before it has taken any such group may be refused because of the group: it is asked again, one
command at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..errors import OutOfStep, SmtpError
from .complaints import blames_the_group, says_pipelining
from .connection import Connection
from .journal import Outgoing
from .transaction import (
    HASTY,
    Answers,
    Commands,
    ask,
    in_sequence,
    out_of_sequence,
    read_go_ahead,
    read_mail,
    read_recipients,
    read_reset,
    time_to_read,
)

MOST_ALONE: Final = 5
"""Mails refused with a group of commands that are asked for again one command at a time. Then it is believed."""

BEHIND_A_DOT: Final = "dot"
"""A group of commands that left in one write with the content before it."""


@dataclass(slots=True)
class Group:
    """A mail's commands up to DATA, which leave in one write."""

    mail: Outgoing
    commands: Commands
    first: str
    """What the group begins with: MAIL, RSET, or the dot of the mail before it."""

    @property
    def octets(self) -> bytes:
        return self.commands.together("DATA")


class Groups:
    """Of one session."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._asked_alone = 0

    def write(self, group: Group) -> None:
        """A group that goes alone, and not behind a content."""
        octets = group.octets
        self.connection.expect_silence("MAIL")
        self.connection.write([octets], "MAIL", time_to_read(len(octets), self.connection.relay.deadlines.reply))

    def answers(self, group: Group) -> Answers:
        """To a group that has left. Raises `BadGroup` where it is the group that the relay does not bear, as far as one
        can know."""
        return self._understood(group, self._read(group))

    def _read(self, group: Group) -> Answers:
        connection = self.connection
        if group.first in connection.proven:
            answers = self._read_in_time(group)
        else:
            with connection.replies_within(min(connection.relay.deadlines.reply, HASTY)):
                answers = self._read_in_time(group)
        refusals = answers.refusals()
        if refusals and any(map(blames_the_group, refusals)):
            raise BadGroup(said=True)
        if connection.good_bye and len(answers.recipients) == 1 and not self._means_good_bye(group):
            raise BadGroup(said=False)
        return answers

    def _means_good_bye(self, group: Group) -> bool:
        """The relay is known to bear this group, or some: 421 is not about their coming together."""
        proven = self.connection.proven
        return group.first in proven or (bool(proven) and group.first != BEHIND_A_DOT)

    def _read_in_time(self, group: Group) -> Answers:
        connection = self.connection
        try:
            if group.commands.reset:
                read_reset(connection)
            mail = read_mail(connection)
            if blames_the_group(mail):
                raise BadGroup(said=True)
            in_sequence(mail)
            recipients = read_recipients(connection, len(group.commands.recipients))
            return Answers(mail, recipients, None if connection.good_bye else read_go_ahead(connection))
        except OutOfStep:
            raise
        except SmtpError as error:
            self._raise_if_bad(group, error)
            raise

    def _raise_if_bad(self, group: Group, error: SmtpError) -> None:
        """Raises `BadGroup` where the session may have ended because of the group."""
        if says_pipelining(error.text):
            raise BadGroup(said=True) from error
        if group.first in self.connection.proven or error.configuration:
            return
        if error.code == 421 and self._means_good_bye(group):
            return
        late = error.code == 0 and not self.connection.ended_by_relay and error.phase != "MAIL"
        raise BadGroup(said=late or error.code >= 500) from error

    def _understood(self, group: Group, answers: Answers) -> Answers:
        """What a relay refuses before it has taken any such group may be refused because of the group."""
        connection = self.connection
        if answers.ready:
            if group.first not in connection.proven:
                connection.mark_proven(group.first)
            return answers
        if connection.good_bye or self._asked_alone >= MOST_ALONE:
            return answers
        if group.first in connection.proven and not _no_order(answers):
            return answers
        if answers.data is not None and answers.data.intermediate:
            if any(reply.positive for reply in answers.recipients):
                return answers
            lone_dot(connection)
        return self._ask_alone(group.commands, answers)

    def _ask_alone(self, commands: Commands, together: Answers) -> Answers:
        connection = self.connection
        self._asked_alone += 1
        try:
            alone = ask(connection, commands._replace(reset=True))
        except SmtpError as error:
            if connection.ended_by_relay:
                raise BadGroup(said=False) from error
            raise
        if alone.ready or (alone.accepted and not together.accepted):
            connection.mistrust("PIPELINING")
        return alone


class BadGroup(Exception):
    """The relay does not bear commands that come together. `said` where it left no doubt."""

    def __init__(self, said: bool) -> None:
        super().__init__(said)
        self.said = said


def _no_order(answers: Answers) -> bool:
    """It took MAIL and a recipient, and says that DATA does not follow from that."""
    return answers.accepted and answers.data is not None and out_of_sequence(answers.data)


def lone_dot(connection: Connection) -> None:
    """The relay waits for a message to nobody: end that at once (RFC 2920, 3.1)."""
    connection.write([b".\r\n"], "DATA", connection.relay.deadlines.reply)
    connection.reply("DATA")
