/*
 * The PROXY protocol, versions 1 (a line of text) and 2 (binary): a load balancer puts it before
 * the first byte of the client and says who the client is. No frame begins like it: 'P' and 0x0D as
 * the top byte of a length word would mean more than 200 MB.
 */
#include "tcp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define V1_MAX 107 /* with CR LF, by the specification */
#define V2_HEAD 16

static const uint8_t v2_signature[12] = { 0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
					  0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A };

/* PROXY TCP4 192.0.2.1 192.0.2.9 56324 10911 CR LF */
static int parse_v1(const uint8_t *bytes, uint32_t len, struct mosaic_address *peer)
{
	char line[V1_MAX + 1], family[8], from[64], to[64];
	unsigned from_port, to_port;
	struct sockaddr_storage address;
	const uint8_t *end = memchr(bytes, '\n', len < V1_MAX ? len : V1_MAX);

	if (end == NULL)
		return len < V1_MAX ? TCP_PROXY_MORE : TCP_PROXY_BAD;
	size_t n = (size_t)(end - bytes);
	if (end[-1] != '\r')
		return TCP_PROXY_BAD;
	memcpy(line, bytes, n - 1);
	line[n - 1] = '\0';
	if (strncmp(line, "PROXY UNKNOWN", 13) == 0)
		return (int)n + 1;
	if (sscanf(line, "PROXY %7s %63s %63s %5u %5u", family, from, to, &from_port,
		   &to_port) != 5 ||
	    (strcmp(family, "TCP4") != 0 && strcmp(family, "TCP6") != 0) || from_port > 65535 ||
	    tcp_address_numeric(from, (uint16_t)from_port, &address) != 0)
		return TCP_PROXY_BAD;
	tcp_address_set(peer, (struct sockaddr *)&address);
	return (int)n + 1;
}

/*
 * 12 signature | 1 version 2 and command (0 LOCAL, 1 PROXY) | 1 family and protocol | 2 length
 * then for TCP over IPv4: 4 from, 4 to, 2 from port, 2 to port; over IPv6: 16, 16, 2, 2; then TLVs.
 */
static int parse_v2(const uint8_t *bytes, uint32_t len, struct mosaic_address *peer)
{
	if (len < V2_HEAD)
		return TCP_PROXY_MORE;
	uint32_t body = (uint32_t)bytes[14] << 8 | bytes[15];
	uint8_t command = bytes[12], family = bytes[13];
	if (command != 0x20 && command != 0x21)
		return TCP_PROXY_BAD;
	if (len < V2_HEAD + body)
		return TCP_PROXY_MORE;
	const uint8_t *from = bytes + V2_HEAD;
	if (command == 0x21 && family == 0x11 && body >= 12) {
		struct sockaddr_in v4 = { .sin_family = AF_INET };
		memcpy(&v4.sin_addr, from, 4);
		memcpy(&v4.sin_port, from + 8, 2);
		tcp_address_set(peer, (struct sockaddr *)&v4);
	} else if (command == 0x21 && family == 0x21 && body >= 36) {
		struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
		memcpy(&v6.sin6_addr, from, 16);
		memcpy(&v6.sin6_port, from + 32, 2);
		tcp_address_set(peer, (struct sockaddr *)&v6);
	}
	return (int)(V2_HEAD + body);
}

static bool agrees(const uint8_t *bytes, uint32_t len, const void *magic, uint32_t magic_len)
{
	return memcmp(bytes, magic, len < magic_len ? len : magic_len) == 0;
}

int tcp_proxy_parse(const uint8_t *bytes, uint32_t len, struct mosaic_address *peer)
{
	if (agrees(bytes, len, "PROXY ", 6))
		return len < 6 ? TCP_PROXY_MORE : parse_v1(bytes, len, peer);
	if (agrees(bytes, len, v2_signature, sizeof(v2_signature)))
		return parse_v2(bytes, len, peer);
	return TCP_PROXY_NONE;
}
