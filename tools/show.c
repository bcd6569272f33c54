#include "show.h"
#include "codec.h"
#include "table.h"
#include "wire/json.h"
#include "wire/props.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX ((size_t)256 << 20)

const char show_format_help[] =
	"  --format FORMAT       %t topic %b body %B its bytes %k keys %g tag %q queue %o offset\n"
	"                        %i id %s stored (local) %S (ms since 1970) %n broker, \\n \\t\n";

const char *show_check(const char *format)
{
	for (const char *p = format; *p != '\0'; p++)
		if (*p == '%' && (p[1] == '\0' || strchr("%tbBkgqoisSn", *++p) == NULL))
			return p - 1;
	return NULL;
}

static void put(struct mosaic_slice s)
{
	fwrite(s.ptr, 1, s.len, stdout);
}

/* The id that the producer gave it, or else the broker's. */
static struct mosaic_slice id_of(const struct message *m, uint8_t room[MESSAGE_ID_MAX])
{
	struct mosaic_slice id = props_find(m->props, PROP_UNIQ_KEY);
	return id.ptr != NULL
		       ? id
		       : slice(room, message_offset_id(room, &m->store_host, m->phys_offset));
}

static void put_field(char field, const char *broker, const struct message *m,
		      struct mosaic_slice body)
{
	uint8_t room[MESSAGE_ID_MAX];
	char when[32];

	switch (field) {
	case 't': put(m->topic); break;
	case 'b': put(body); break;
	case 'B': printf("%zu", body.len); break;
	case 'k': put(props_find(m->props, PROP_KEYS)); break;
	case 'g': put(props_find(m->props, PROP_TAGS)); break;
	case 'q': printf("%d", m->queue_id); break;
	case 'o': printf("%" PRId64, m->queue_offset); break;
	case 'i': put(id_of(m, room)); break;
	case 'S': printf("%" PRId64, m->store_ms); break;
	case 'n': fputs(broker, stdout); break;
	case 's':
		table_format_time(when, m->store_ms);
		fputs(when, stdout);
		break;
	default: putchar(field);
	}
}

static void put_format(const char *format, const char *broker, const struct message *m,
		       struct mosaic_slice body)
{
	for (const char *p = format; *p != '\0'; p++) {
		if (*p == '%')
			put_field(*++p, broker, m, body);
		else if (*p == '\\' && (p[1] == 'n' || p[1] == 't'))
			putchar(*++p == 'n' ? '\n' : '\t');
		else
			putchar(*p);
	}
}

static json_t *text_or_null(struct mosaic_slice s)
{
	json_t *text = s.ptr != NULL ? json_stringn((const char *)s.ptr, s.len) : NULL;
	return text != NULL ? text : json_null();
}

/* A body that is no UTF-8 is null, and its bytes are in hex. */
static void put_json(const char *broker, const struct message *m, struct mosaic_slice body)
{
	uint8_t room[MESSAGE_ID_MAX];
	json_t *text = text_or_null(body);
	json_t *all = json_pack("{so ss si sI sI so so so so}", "topic", text_or_null(m->topic),
				"broker", broker, "queue", m->queue_id, "offset",
				(json_int_t)m->queue_offset, "stored_ms", (json_int_t)m->store_ms,
				"id", text_or_null(id_of(m, room)), "tag",
				text_or_null(props_find(m->props, PROP_TAGS)), "keys",
				text_or_null(props_find(m->props, PROP_KEYS)), "body", text);

	if (json_is_null(text)) {
		char *hex = malloc(2 * body.len + 1);
		for (size_t i = 0; hex != NULL && i < body.len; i++)
			snprintf(hex + 2 * i, 3, "%02x", body.ptr[i]);
		json_object_set_new(all, "body_hex",
				    hex != NULL ? json_stringn(hex, 2 * body.len) : json_null());
		free(hex);
	}
	json_dumpf(all, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(all);
}

void show_received(const struct show *s, const char *broker, const struct message *m)
{
	struct mosaic_slice body = m->body;
	uint8_t *plain = NULL;
	size_t len;

	if ((m->sys_flag & SYS_COMPRESSED) != 0 &&
	    codec_decompress(m->sys_flag, m->body, BODY_MAX, &plain, &len) == 0)
		body = slice(plain, len);
	if (s->as_json)
		put_json(broker, m, body);
	else if (s->format != NULL)
		put_format(s->format, broker, m, body);
	else
		printf("received %s queue %d offset %" PRId64 ": %.*s\n", broker, m->queue_id,
		       m->queue_offset, SLICE_ARG(body));
	free(plain);
}
