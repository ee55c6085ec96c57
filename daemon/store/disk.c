/* SPDX-License-Identifier: MIT */
#include "daemon/store/disk.h"

#include <inttypes.h>

#include "lib/base/log.h"
#include "lib/db/db.h"

void disk_init(struct disk *d, const char *path, int64_t min_free_bytes)
{
	*d = (struct disk){.path = xstrdup(path), .min_free_bytes = min_free_bytes};
}

void disk_free(struct disk *d)
{
	free(d->path);
	d->path = NULL;
}

static void say(const struct disk *d, int64_t free_bytes)
{
	switch (d->level) {
	case DISK_OK:
		log_info("there is room on the disk of '%s' again", d->path);
		return;
	case DISK_LOW:
		log_error("%" PRId64 " bytes are free on the disk of '%s', min_free is %" PRId64
			  ": submits are refused",
		    free_bytes, d->path, d->min_free_bytes);
		return;
	case DISK_FULL:
		log_error("%" PRId64 " bytes are free on the disk of '%s', min_free is %" PRId64
			  ": outcomes wait in the workers",
		    free_bytes, d->path, d->min_free_bytes);
		return;
	}
}

bool disk_look(struct disk *d)
{
	int64_t free_bytes = db_disk_free(d->path);
	enum disk_level was = d->level;

	if (free_bytes >= d->min_free_bytes)
		d->level = DISK_OK;
	else
		d->level = free_bytes >= d->min_free_bytes / 2 ? DISK_LOW : DISK_FULL;
	if (d->level == was)
		return false;
	say(d, free_bytes);
	return true;
}
