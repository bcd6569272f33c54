/* Prints messages until Enter is pressed. cc consumer.c $(pkg-config --cflags --libs mosaic) */
#include <mosaic/consumer.h>
#include <stdio.h>

static int32_t print(void *data, const struct mosaic_received *messages, uint32_t count,
		     uint32_t *consumed)
{
	(void)data;
	for (*consumed = 0; *consumed < count; ++*consumed)
		printf("%.*s\n", (int)messages[*consumed].body.len,
		       (const char *)messages[*consumed].body.ptr);
	fflush(stdout);
	return MOSAIC_CONSUMED;
}

int main(int argc, char **argv)
{
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct mosaic_client_options options = {
		.struct_size = sizeof(options),
		.namesrv = argc > 1 ? argv[1] : "127.0.0.1:9876",
	};
	struct mosaic_consumer_options group = { .struct_size = sizeof(group),
		.group = "example", .listener = print, .from = MOSAIC_FROM_FIRST };
	struct mosaic_client *client = NULL;
	struct mosaic_consumer *consumer = NULL;

	if (mosaic_client_create(&options, &client, &err) != 0 ||
	    mosaic_client_start(client, &err) != 0 ||
	    mosaic_consumer_create(client, &group, &consumer, &err) != 0 ||
	    mosaic_consumer_subscribe(consumer, "Example", MOSAIC_TAGS, "*", &err) != 0 ||
	    mosaic_consumer_start(consumer, &err) != 0)
		fprintf(stderr, "%s\n", err.text);
	else
		getchar();
	mosaic_client_destroy(&client); /* and its consumer */
	return err.code != 0;
}
