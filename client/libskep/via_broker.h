/* SPDX-License-Identifier: MIT */
/* A client of a broker: AMQP, with no node asked. */
#ifndef SKEP_CLIENT_LIBSKEP_VIA_BROKER_H
#define SKEP_CLIENT_LIBSKEP_VIA_BROKER_H

#include "client/libskep/via.h"

/* Connects. NULL with `error`. */
struct skep_client *via_broker_open(const char *url, int64_t timeout_ms, struct skep_error *error);

#endif
