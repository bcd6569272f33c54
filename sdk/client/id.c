#include "id.h"
#include "base/bytes.h"
#include "base/num.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <time.h>

void id_own_address(uint8_t ip[4])
{
	static const uint8_t loopback[4] = { 127, 0, 0, 1 };
	struct ifaddrs *all = NULL;

	memcpy(ip, loopback, 4);
	if (getifaddrs(&all) != 0)
		return;
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET ||
		    (i->ifa_flags & IFF_UP) == 0 || (i->ifa_flags & IFF_LOOPBACK) != 0)
			continue;
		struct sockaddr_in v4;
		memcpy(&v4, i->ifa_addr, sizeof(v4));
		memcpy(ip, &v4.sin_addr, 4);
		break;
	}
	freeifaddrs(all);
}

void id_init(struct id_maker *ids, const uint8_t ip[4], int32_t pid, uint32_t random)
{
	*ids = (struct id_maker){ .count = 0 };
	memcpy(ids->fixed, ip, 4);
	put_be16(ids->fixed + 4, (uint16_t)pid);
	put_be32(ids->fixed + 6, random);
}

static int64_t month_start_ms(struct tm month, int offset)
{
	struct tm first = { .tm_year = month.tm_year, .tm_mon = month.tm_mon + offset,
			    .tm_mday = 1, .tm_isdst = -1 };

	return (int64_t)mktime(&first) * 1000;
}

/* In local time, as Java: the reader of an id is expected to live in the same zone. */
static void set_month(struct id_maker *ids, int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm now;

	localtime_r(&seconds, &now);
	ids->month_ms = month_start_ms(now, 0);
	ids->next_month_ms = month_start_ms(now, 1);
}

void id_make(struct id_maker *ids, int64_t wall_ms, char *out)
{
	uint8_t id[ID_CHARS / 2];

	if (wall_ms >= ids->next_month_ms || wall_ms < ids->month_ms)
		set_month(ids, wall_ms);
	memcpy(id, ids->fixed, sizeof(ids->fixed));
	put_be32(id + 10, (uint32_t)(wall_ms - ids->month_ms));
	put_be16(id + 14, ids->count++);
	num_format_hex((uint8_t *)out, id, sizeof(id));
	out[ID_CHARS] = '\0';
}
