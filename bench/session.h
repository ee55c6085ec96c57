/* SPDX-License-Identifier: MIT */
/* A plain librabbitmq connection for the programs of the bench: blocking, channel 1, faults are fatal.
 * None of this is skep's; it is what skep is compared with. */
#ifndef SKEP_BENCH_SESSION_H
#define SKEP_BENCH_SESSION_H

#include <amqp.h>
#include <stdint.h>

#define SESSION_CHANNEL 1

/* Prints and exits with 1. */
void session_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Connected, logged in, channel 1 open, TCP_NODELAY set. */
amqp_connection_state_t session_open(const char *url);

/* The last RPC; dies with the broker's words and `what` if it failed. */
void session_check(amqp_connection_state_t conn, const char *what);

/* A number from the command line, or dies. */
int64_t session_number(const char *text);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t session_now_ns(void);

#endif
