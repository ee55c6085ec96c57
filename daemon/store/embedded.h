/* SPDX-License-Identifier: MIT */
/* The embedded queue's side of the workers: what they want, and what they are dealt (serve.h). */
#ifndef SKEP_STORE_EMBEDDED_H
#define SKEP_STORE_EMBEDDED_H

#include "daemon/store/store.h"

/* WANT. */
int embedded_want(struct member *m, struct frame *f);

/* How many runs it may have open; also 0 when its connection ends. */
void embedded_set_want(struct member *m, uint32_t runs);

/* At the end of a turn: deals what is ready to who has room. */
void embedded_deal(struct store *s);

/* How many jobs wait in each queue, and which are paused (with a broker, too), onto the board. */
void embedded_show(struct store *s);

#endif
