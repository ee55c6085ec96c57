#!/bin/sh
# SPDX-License-Identifier: MIT
# Submits a job with nothing but amqp-publish (Debian: amqp-tools): one basic.publish is a job.
#
#     enqueue.sh QUEUE BODY              AMQP_URL says where the broker is
#
# amqp-publish sets no type, so the queue's handler runs ([queue] handler).
set -eu
url=${AMQP_URL:-amqp://guest:guest@127.0.0.1:5672}
# A / at the end would be, to amqp-publish, a vhost without a name.
exec amqp-publish --url="${url%/}" --exchange=skep --routing-key="$1" --persistent --body="$2"
