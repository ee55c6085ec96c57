# SPDX-License-Identifier: MIT
"""A vhost of a private RabbitMQ as other applications see it: pika, no library of ours."""

import struct
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pika
import pika.data
from pika.exceptions import AMQPError, ChannelClosedByBroker

from rabbitmq import Rabbit
from waiting import wait_until


# Doubles are the one kind of header value that pika cannot write.
_encode_value = pika.data.encode_value


def _encode_value_or_double(pieces: list[bytes], value: Any) -> int:
    if isinstance(value, float):
        pieces.append(struct.pack(">cd", b"d", value))
        return 9
    return _encode_value(pieces, value)


pika.data.encode_value = _encode_value_or_double


class Broker:
    def __init__(self, rabbit: Rabbit, vhost: str):
        self.rabbit = rabbit
        self.vhost = vhost
        self._connection: pika.BlockingConnection | None = None
        self._channel = None

    def url(self, port: int | None = None) -> str:
        return self.rabbit.url(quote(self.vhost, safe=""), port)

    def connect(self) -> pika.BlockingConnection:
        parameters = pika.URLParameters(self.url())
        parameters.heartbeat = 0
        return pika.BlockingConnection(parameters)

    def channel(self):
        """One channel in confirm mode, opened again when it or its connection was lost."""
        if self._channel is None or not self._channel.is_open:
            if self._connection is None or not self._connection.is_open:
                self._connection = self.connect()
            self._channel = self._connection.channel()
            self._channel.confirm_delivery()
        return self._channel

    def close(self) -> None:
        if self._connection is not None:
            with suppress(AMQPError):
                self._connection.close()
        self._connection = self._channel = None

    def version(self) -> tuple[int, ...]:
        self.channel()
        return tuple(int(part) for part in self._connection._impl.server_properties["version"].split(".")[:2])

    # --- publishing ----------------------------------------------------------------------------

    def publish(self, queue: str, body: bytes | str = b"", exchange: str = "", **properties: Any) -> None:
        """One persistent message, confirmed; unroutable ones raise pika's UnroutableError."""
        if isinstance(body, str):
            body = body.encode()
        properties.setdefault("delivery_mode", 2)
        self.channel().basic_publish(
            exchange, queue, body, pika.BasicProperties(**properties), mandatory=exchange != "skep"
        )

    def publish_bare(self, queue: str, body: bytes = b"") -> None:
        """No properties at all."""
        self.channel().basic_publish("", queue, body, mandatory=True)

    def publish_many(self, queue: str, jobs: list[tuple[str, str]], body: bytes = b"x") -> None:
        """(id, type) pairs, each confirmed."""
        for job_id, job_type in jobs:
            self.publish(queue, body, message_id=job_id, type=job_type)

    # --- looking -------------------------------------------------------------------------------

    def passive(self, queue: str):
        """(messages ready, consumers) or None where the queue does not exist."""
        try:
            answer = self.channel().queue_declare(queue, passive=True)
        except ChannelClosedByBroker:
            return None
        return answer.method.message_count, answer.method.consumer_count

    def depth(self, queue: str) -> int:
        found = self.passive(queue)
        return found[0] if found else 0

    def wait_consumers(self, queue: str, count: int = 1, seconds: float = 20) -> None:
        def enough() -> bool:
            found = self.passive(queue)
            return found is not None and found[1] >= count

        wait_until(enough, f"{count} consumers of {queue}", seconds)

    def get(self, queue: str):
        """Takes one message: (properties, body), or None."""
        method, properties, body = self.channel().basic_get(queue, auto_ack=True)
        return (properties, body) if method else None

    def wait_message(self, queue: str, seconds: float = 20):
        return wait_until(lambda: self.get(queue), f"a message in {queue}", seconds)

    def unacked(self, queue: str) -> int:
        listed = self.rabbit.ctl(
            "list_queues", "-p", self.vhost, "--no-table-headers", "name", "messages_unacknowledged"
        )
        counts = dict(line.split("\t") for line in listed.splitlines() if "\t" in line)
        return int(counts[queue])

    # --- changing ------------------------------------------------------------------------------

    def declare(self, queue: str, **arguments: Any) -> None:
        self.channel().queue_declare(
            queue, durable=True, arguments={key.replace("_", "-"): value for key, value in arguments.items()}
        )

    def declare_reply(self, queue: str) -> None:
        self.declare(queue, x_queue_type="classic")

    def delete(self, queue: str) -> None:
        self.channel().queue_delete(queue)

    def unbind(self, queue: str, exchange: str) -> None:
        self.channel().queue_unbind(queue, exchange, queue)

    def bind(self, queue: str, exchange: str) -> None:
        self.channel().queue_bind(queue, exchange, queue)

    def close_all_connections(self) -> None:
        """As an operator would, or as a node that goes into maintenance."""
        self.close()
        self.rabbit.ctl("close_all_connections", "--vhost", self.vhost, "as the test wants it")
