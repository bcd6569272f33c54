/* MD5 (RFC 1321), because Java's consistent hash is made with it; protects nothing. */
#ifndef CONSUMER_MD5_H
#define CONSUMER_MD5_H

#include <stddef.h>
#include <stdint.h>

void md5(const void *bytes, size_t len, uint8_t digest[16]);

#endif
