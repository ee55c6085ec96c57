/* SPDX-License-Identifier: MIT */
#include "daemon/gateway/watches.h"

#include "lib/base/list.h"

#define WATCH_MAGIC 0x77617463u
#define WAITER_MAGIC 0x77616974u

/* What is asked of the store. */
struct watch {
	unsigned magic;
	struct watches *watches;
	struct list link; /* oldest first */
	char *queue, *id;
	struct call *call;
	struct list waiters;
};

struct waiter {
	unsigned magic;
	struct gateway *g;
	struct list link;
	struct http_request *r;
	void (*answer)(struct gateway *g, struct http_request *r);
	struct loop_timer time;
};

struct watches {
	struct gateway *g;
	struct list all;
	size_t n;
};

struct watches *watches_new(struct gateway *g)
{
	struct watches *w = xcalloc(1, sizeof *w);

	w->g = g;
	list_init(&w->all);
	return w;
}

static void waiter_free(struct waiter *waiter)
{
	loop_timer_stop(&waiter->time);
	list_del(&waiter->link);
	waiter->magic = 0;
	free(waiter);
}

static void waiter_end(struct waiter *waiter)
{
	struct gateway *g = waiter->g;
	struct http_request *r = waiter->r;
	void (*answer)(struct gateway *, struct http_request *) = waiter->answer;

	waiter_free(waiter);
	answer(g, r);
}

static void on_time(struct loop_timer *t)
{
	OBJ(struct waiter, waiter, t->arg, WAITER_MAGIC);

	waiter_end(waiter);
}

static void on_gone(void *arg)
{
	OBJ(struct waiter, waiter, arg, WAITER_MAGIC);

	waiter_free(waiter);
}

static void watch_free(struct watch *watch)
{
	calls_drop(watch->call);
	list_del(&watch->link);
	watch->watches->n--;
	free(watch->queue);
	free(watch->id);
	watch->magic = 0;
	free(watch);
}

static void end_waiters(struct watch *watch)
{
	struct waiter *waiter;

	while ((waiter = list_first(&watch->waiters, struct waiter, link)))
		waiter_end(waiter);
}

static void on_answer(const struct call_answer *answer UNUSED, void *arg)
{
	OBJ(struct watch, watch, arg, WATCH_MAGIC);

	watch->call = NULL;
	end_waiters(watch);
	watch_free(watch);
}

static struct watch *find(struct watches *w, struct job_name job)
{
	list_each(struct watch, watch, &w->all, link)
	{
		if (slice_is(job.id, watch->id) && slice_is(job.queue, watch->queue))
			return watch;
	}
	return NULL;
}

/* There are fewer connections than watches, so one that nobody waits for is among them. */
static void forget_oldest(struct watches *w)
{
	list_each(struct watch, watch, &w->all, link)
	{
		if (list_empty(&watch->waiters)) {
			watch_free(watch);
			return;
		}
	}
}

static struct watch *watch_new(struct watches *w, struct job_name job)
{
	struct watch *watch = xcalloc(1, sizeof *watch);

	if (w->n == WATCHES_MAX)
		forget_oldest(w);
	watch->magic = WATCH_MAGIC;
	watch->watches = w;
	watch->queue = slice_dup(job.queue);
	watch->id = slice_dup(job.id);
	list_init(&watch->waiters);
	list_add_tail(&w->all, &watch->link);
	w->n++;
	watch->call = calls_ask(w->g->calls, MSG_WATCH, job.queue, job.id, on_answer, watch);
	return watch;
}

void watches_wait(struct watches *w, struct http_request *r, struct job_name job, int64_t wait_ms,
    void (*answer)(struct gateway *g, struct http_request *r))
{
	struct watch *watch = find(w, job);
	struct waiter *waiter = xcalloc(1, sizeof *waiter);

	if (!watch)
		watch = watch_new(w, job);
	waiter->magic = WAITER_MAGIC;
	waiter->g = w->g;
	waiter->r = r;
	waiter->answer = answer;
	list_add_tail(&watch->waiters, &waiter->link);
	loop_timer_init(&waiter->time, w->g->p->loop, on_time, waiter);
	loop_timer_set(&waiter->time, wait_ms < WATCHES_LONGEST_MS ? wait_ms : WATCHES_LONGEST_MS);
	http_watch_client(r, on_gone, waiter);
}

void watches_end(struct watches *w)
{
	list_each(struct watch, watch, &w->all, link) end_waiters(watch);
}
