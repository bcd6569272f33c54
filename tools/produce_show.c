/* What mosaic produce prints: sentences for people, a line of JSON each for programs. */
#include "produce.h"
#include "wire/json.h"
#include <stdio.h>
#include <unistd.h>

#define SECOND 1e9

static const char *warning_of(int32_t stored)
{
	switch (stored) {
	case MOSAIC_STORED_FLUSH_TIMEOUT: return "stored, not yet known to be on disk";
	case MOSAIC_STORED_NO_SLAVE: return "stored, there is no slave";
	case MOSAIC_STORED_SLAVE_TIMEOUT: return "stored, no slave has confirmed it";
	default: return NULL;
	}
}

static void put(json_t *line)
{
	json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(line);
}

static void put_sent(const struct produce *p, const struct mosaic_send_result *r)
{
	const char *warning = warning_of(r->stored);
	json_t *line = json_pack("{ss ss si sI ss ss}", "topic", p->topic, "broker", r->broker,
				 "queue", r->queue_id, "offset", (json_int_t)r->queue_offset, "id",
				 r->message_id, "offset_id", r->offset_id);

	if (warning != NULL)
		json_object_set_new(line, "warning", json_string(warning));
	if (r->recall_handle[0] != '\0')
		json_object_set_new(line, "recall_handle", json_string(r->recall_handle));
	put(line);
}

void show_sent(struct produce *p, const struct sending *s)
{
	const struct mosaic_send_result *r = &s->result;
	const char *warning = warning_of(r->stored);

	if (p->is_quiet)
		return;
	if (isatty(STDOUT_FILENO))
		progress_hide(&p->progress);
	if (p->format == PRODUCE_JSON)
		put_sent(p, r);
	else
		printf("sent   %s queue %d offset %lld: %.*s   (id %s)%s%s\n", r->broker,
		       r->queue_id, (long long)r->queue_offset, (int)s->body_len, s->body,
		       r->message_id, warning != NULL ? " " : "", warning != NULL ? warning : "");
}

void show_failed(struct produce *p, const struct sending *s)
{
	progress_hide(&p->progress);
	if (p->format == PRODUCE_JSON)
		put(json_pack("{ss ss si}", "topic", p->topic, "error", s->result.text, "code",
			      s->result.broker_code));
	else if (p->goes_on)
		fprintf(stderr, "mosaic produce: %s\n", s->result.text);
}

void show_summary(struct produce *p, uint64_t took_ns)
{
	double seconds = (double)took_ns / SECOND;

	progress_hide(&p->progress);
	if (p->format == PRODUCE_JSON)
		put(json_pack("{sI sI sf sf}", "sent", (json_int_t)p->sent, "failed",
			      (json_int_t)p->failed, "seconds", seconds, "messages_per_s",
			      (double)p->sent / seconds));
	else if (p->is_quiet || p->is_oneway)
		printf("sent %llu messages\n", (unsigned long long)p->sent);
}
