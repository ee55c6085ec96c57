/* SPDX-License-Identifier: MIT */
/*
 * A node that runs nothing: it carries what waits from one queue to the other and ends (`skepd --move`,
 * which `skep move` starts). To a broker: the store and the courier, and every parcel may go out at once,
 * those of later with the time at which they are to run (skep-at). From a broker: the store, one worker
 * that has each delivery taken over (TAKE), and the courier, which only asks for depths.
 *
 * A job is in its old place until it is durable in the new one (a publisher's confirm, or the commit
 * before the ack), so a move that is killed is begun again and goes on. What was in both places for a
 * moment has one identity, (queue, id), and the store, which stays where it is, lets it end once.
 */
#ifndef SKEP_DAEMON_SUPERVISOR_MOVE_H
#define SKEP_DAEMON_SUPERVISOR_MOVE_H

#include "daemon/process.h"

struct move;
struct supervisor;

/* Reads the target, `embedded` or a url, from the first line of standard input, since a url may hold a
 * password. Moves, and writes lines of JSON on standard output: {"moved", "left"} as it goes on, and at
 * last {"moved", "left", "over": true, "seconds", "url", "file"}, with "error" if it failed. `count`: only
 * counts what there is. Changes `conf`. Returns the exit code, of sysexits.h: 0; 69 no broker; 75 another
 * skepd runs, or not all could be moved; 78 the configuration. */
int move_run(struct conf *conf, bool count);

enum node_move move_how(const struct move *m); /* NULL: MOVE_NOT */

/* The processes that it needs, of which the first is the store. */
size_t move_roles(const struct move *m, enum role_id ret[static ROLE_COUNT]);

void move_start(struct move *m, struct supervisor *s); /* the children too, each in its time */
void move_stop(struct move *m);
void move_fail(struct move *m, int code, const char *text); /* -errno; the node could not be built */

#endif
