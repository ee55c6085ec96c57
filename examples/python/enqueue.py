#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Submits jobs with nothing but an AMQP client: one basic.publish is a job.

    enqueue.py QUEUE TYPE BODY...        a job for each BODY; AMQP_URL says where the broker is

The exchange is skep's, the routing key the queue. What is not given has a default: without a type the queue's
handler runs, without a message_id one is made (but then two copies cannot be told to be one job)."""

import os
import sys
import uuid

import pika


def main() -> int:
    queue, job_type, *bodies = sys.argv[1:]
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()  # each publish waits until the broker has it on disk, or raises
        for body in bodies:
            properties = pika.BasicProperties(
                type=job_type,
                message_id=str(uuid.uuid4()),
                delivery_mode=2,
                headers={"job-retries": 3, "job-timeout": "30s"},
            )
            channel.basic_publish("skep", queue, body.encode(), properties)
            print(properties.message_id)
    return 0


if __name__ == "__main__":
    sys.exit(main())
