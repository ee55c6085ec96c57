/* SPDX-License-Identifier: MIT */
/*
 * The processes of the node, as the supervisor names them and as they connect; and the recovery of
 * a new store, which answers nobody before each worker that was alive has named the runs it holds,
 * or was buried.
 */
#ifndef SKEP_STORE_PEERS_H
#define SKEP_STORE_PEERS_H

#include "daemon/store/store.h"

/* Takes the inherited listening sockets. */
void peers_open(struct store *s);

/* PEER, PEERS_END, BURIED. */
int peers_control(struct store *s, struct frame *f);

/* At the end of a turn: judges who was buried, recovers when all are heard. */
void peers_turn(struct store *s);

/* Has everybody be read, or not: nobody while the store is throttled, workers not while it rests or
 * the disk is full. */
void peers_gate(struct store *s);

/* Has a worker whose outcome is in this batch no run left? Asked once per turn, before any is dealt
 * more. */
bool peers_hungry(struct store *s);

/* Sends ASK to every worker. */
void peers_ask(struct store *s, struct slice queue, bool always);

/* Sends PAUSED to every worker. */
void peers_paused(struct store *s, struct slice queue, bool paused);

/* Ends a run: CANCEL to whoever has it. */
void peers_cancel(struct store *s, const struct claim *claim);

/* Reads everything that has arrived, to the end, and judges who was buried. */
void peers_drain(struct store *s);

/* Writes what is answered; closes everything. */
void peers_close(struct store *s);

#endif
