/* SPDX-License-Identifier: MIT */
/* How full the database's disk is: below min_free submits are refused, below half of it outcomes
 * wait in the workers. */
#ifndef SKEP_STORE_DISK_H
#define SKEP_STORE_DISK_H

#include "lib/base/base.h"

enum disk_level { DISK_OK, DISK_LOW, DISK_FULL };

struct disk {
	char *path;
	int64_t min_free_bytes;
	enum disk_level level;
};

void disk_init(struct disk *d, const char *path, int64_t min_free_bytes);
void disk_free(struct disk *d);

/* Looks again. True if the level has changed (it is logged). */
bool disk_look(struct disk *d);

#endif
