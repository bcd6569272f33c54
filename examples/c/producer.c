/* Sends ten messages. cc producer.c $(pkg-config --cflags --libs mosaic) */
#include <mosaic/producer.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct mosaic_client_options options = {
		.struct_size = sizeof(options),
		.namesrv = argc > 1 ? argv[1] : "127.0.0.1:9876",
	};
	struct mosaic_client *client = NULL;
	struct mosaic_producer *producer = NULL;
	struct mosaic_send_result result;
	char text[32];

	int rc = mosaic_client_create(&options, &client, &err);
	if (rc == 0)
		rc = mosaic_client_start(client, &err);
	if (rc == 0)
		rc = mosaic_producer_create(client, NULL, &producer, &err);
	if (rc != 0)
		fprintf(stderr, "%s\n", err.text);
	for (int i = 0; rc == 0 && i < 10; i++) {
		struct mosaic_message m = { .struct_size = sizeof(m), .topic = "Example", .tag = "A" };
		m.body.len = (size_t)snprintf(text, sizeof(text), "message %d", i);
		m.body.ptr = (const uint8_t *)text;
		rc = mosaic_producer_send(producer, &m, &result);
		if (rc == 0)
			printf("%s is in queue %d\n", text, result.queue_id);
		else
			fprintf(stderr, "%s: %s\n", mosaic_status_text(rc), result.text);
	}
	mosaic_client_destroy(&client); /* and its producer */
	return rc != 0;
}
