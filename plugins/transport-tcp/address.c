#include "tcp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set(struct mosaic_address *out, const void *ip, uint32_t ip_len, uint16_t port)
{
	char text[INET6_ADDRSTRLEN] = "?";

	memset(out, 0, sizeof(*out));
	memcpy(out->ip, ip, ip_len);
	out->ip_len = ip_len;
	out->port = port;
	inet_ntop(ip_len == 4 ? AF_INET : AF_INET6, ip, text, sizeof(text));
	snprintf(out->text, sizeof(out->text), ip_len == 4 ? "%s:%u" : "[%s]:%u", text,
		 (unsigned)port);
}

void tcp_address_set(struct mosaic_address *out, const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, sa, sizeof(v4));
		set(out, &v4.sin_addr, 4, ntohs(v4.sin_port));
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, sa, sizeof(v6));
		bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr); /* IPv4 on a socket for both */
		set(out, v6.sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16,
		    ntohs(v6.sin6_port));
	} else {
		memset(out, 0, sizeof(*out));
		snprintf(out->text, sizeof(out->text), "unknown");
	}
}

int tcp_address_split(const char *text, char *host, size_t host_size, uint16_t *port)
{
	const char *colon = text != NULL ? strrchr(text, ':') : NULL;
	char *end;

	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return MOSAIC_E_INVAL;
	unsigned long number = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || number > 65535)
		return MOSAIC_E_INVAL;
	size_t len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= host_size)
		return MOSAIC_E_INVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	*port = (uint16_t)number;
	return 0;
}

int tcp_address_numeric(const char *host, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
		memcpy(out, &v4, sizeof(v4));
	else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
		memcpy(out, &v6, sizeof(v6));
	else
		return MOSAIC_E_INVAL;
	return 0;
}
