/* SPDX-License-Identifier: MIT */
#include "client/toppage.h"

#include "client/scale.h"
#include "client/status.h"
#include "client/topview.h"

void toppage_close(struct toppage *p)
{
	json_free(p->json);
	free(p->path);
	free(p->title);
	*p = (struct toppage){0};
}

void toppage_open(struct toppage *p, enum toppage_kind kind, char *title, char *path)
{
	toppage_close(p);
	p->kind = kind;
	p->title = title;
	p->path = path;
}

void toppage_take(struct toppage *p, struct json *answer)
{
	json_free(p->json);
	p->json = answer;
}

char *toppage_text(const struct toppage *p, size_t columns, int64_t now_ms)
{
	struct screen plain = {.columns = columns};
	char *text = NULL;
	size_t n = 0;
	FILE *out;

	if (p->kind == TOPPAGE_HELP)
		return xstrdup(topview_help);
	if (!p->json)
		return NULL;
	out = open_memstream(&text, &n);
	if (!out)
		BUG("no memory for a page");
	if (p->kind == TOPPAGE_JOB)
		status_print(p->json, &plain, now_ms, out);
	else
		scale_print(p->json, &plain, now_ms, out);
	fclose(out);
	return text;
}
