/*
 * What a message costs its sender: one thread, asynchronous, 1 KiB, 256 in flight.
 *
 *   bench_client_send NAMESRV [SECONDS]
 *
 * Prints JSON: messages a second, CPU of the whole process per message after two seconds of
 * warming up, and the resident memory of the idle client before. ClientSend.java does the same with
 * Apache's client.
 */
#include <mosaic/producer.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BODY 1024
#define IN_FLIGHT 256
#define WARM_S 2

struct run {
	sem_t room;
	_Atomic uint64_t sent, failed;
};

static void done(void *data, const struct mosaic_send_result *result)
{
	struct run *r = data;

	atomic_fetch_add(result->status == 0 ? &r->sent : &r->failed, 1);
	sem_post(&r->room);
}

static double wall_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static long rss_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long size = 0, resident = 0;

	if (f != NULL && fscanf(f, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	if (f != NULL)
		fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void send_until(struct run *r, struct mosaic_producer *p, double until)
{
	static uint8_t body[BODY];
	struct mosaic_message m = { .struct_size = sizeof(m), .topic = "BenchClient",
				    .body = { body, BODY } };

	memset(body, 'x', sizeof(body));
	while (wall_s() < until)
		for (int i = 0; i < 64; i++) {
			sem_wait(&r->room);
			if (mosaic_producer_send_async(p, &m, done, r) != 0)
				abort();
		}
}

int main(int argc, char **argv)
{
	const struct mosaic_client_options o = { .struct_size = sizeof(o),
						 .namesrv = argc > 1 ? argv[1] : "127.0.0.1:9876" };
	double seconds = argc > 2 ? atof(argv[2]) : 10;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct mosaic_client *c = NULL;
	struct mosaic_producer *p = NULL;
	struct run r = { .sent = 0 };

	sem_init(&r.room, 0, IN_FLIGHT);
	if (mosaic_client_create(&o, &c, &err) != 0 || mosaic_client_start(c, &err) != 0 ||
	    mosaic_producer_create(c, NULL, &p, &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	struct mosaic_message first = { .struct_size = sizeof(first), .topic = "BenchClient",
					.body = { (const uint8_t *)"x", 1 } };
	if (mosaic_producer_send(p, &first, NULL) != 0)
		return 1;
	usleep(200000);
	long idle_kib = rss_kib();
	send_until(&r, p, wall_s() + WARM_S);
	double wall = wall_s(), cpu = cpu_s();
	uint64_t sent = atomic_load(&r.sent);
	send_until(&r, p, wall + seconds);
	wall = wall_s() - wall;
	cpu = cpu_s() - cpu;
	sent = atomic_load(&r.sent) - sent;
	printf("{\"client\":\"libmosaic\",\"per_second\":%.0f,\"cpu_us\":%.2f,\"failed\":%llu,"
	       "\"idle_kib\":%ld}\n", (double)sent / wall, cpu * 1e6 / (double)sent,
	       (unsigned long long)atomic_load(&r.failed), idle_kib);
	mosaic_client_destroy(&c);
	return 0;
}
