/* SPDX-License-Identifier: MIT */
/* Sends the steps of a topology on a channel. Every step is answered by one method, in order. */
#ifndef SKEP_AMQP_DECLARE_H
#define SKEP_AMQP_DECLARE_H

#include "lib/amqp/channel.h"
#include "lib/amqp/topology.h"

void declare_send(struct channel *ch, const struct topology_step *step);
bool declare_is_answer(amqp_method_number_t id);

#endif
