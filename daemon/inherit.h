/* SPDX-License-Identifier: MIT */
/* Every descriptor that a child is started with, beside 0 (/dev/null), 1 and 2 (the supervisor's). */
#ifndef SKEP_DAEMON_INHERIT_H
#define SKEP_DAEMON_INHERIT_H

#define INHERIT_CONTROL 3 /* all: stream socket to the supervisor */
#define INHERIT_CONF 4    /* all: sealed memfd with the configuration */
#define INHERIT_BOARD 5   /* all: the board; read-only for the gateway */
#define INHERIT_LISTEN 6  /* store: first of its listening sockets, one per uid that connects; gateway: HTTP */
#define INHERIT_LISTEN_MAX 8 /* how many at most */

#endif
