#include "base/num.h"
#include "base/bytes.h"

int num_parse_i64(struct mosaic_slice text, int64_t *out)
{
	if (text.len == 0)
		return MOSAIC_E_INVAL;

	const uint8_t *p = text.ptr, *end = p + text.len;
	bool negative = false;
	uint64_t value = 0;
	if (*p == '-' || *p == '+')
		negative = *p++ == '-';
	if (p == end)
		return MOSAIC_E_INVAL;
	uint64_t most = (uint64_t)INT64_MAX + negative;
	for (; p != end; p++) {
		unsigned digit = (unsigned)*p - '0';

		if (digit > 9 || value > (most - digit) / 10)
			return MOSAIC_E_INVAL;
		value = value * 10 + digit;
	}
	*out = (int64_t)(negative ? 0 - value : value);
	return 0;
}

int num_parse_i32(struct mosaic_slice text, int32_t *out)
{
	int64_t value;

	if (num_parse_i64(text, &value) != 0 || value < INT32_MIN || value > INT32_MAX)
		return MOSAIC_E_INVAL;
	*out = (int32_t)value;
	return 0;
}

bool num_parse_bool(struct mosaic_slice text)
{
	return slice_is_nocase(text, "true");
}

uint32_t num_format_i64(uint8_t *p, int64_t value)
{
	uint8_t digits[20];
	uint32_t n = 0, len = 0;
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do {
		digits[n++] = (uint8_t)('0' + rest % 10);
		rest /= 10;
	} while (rest != 0);
	if (value < 0)
		p[len++] = '-';
	while (n != 0)
		p[len++] = digits[--n];
	return len;
}

void num_format_hex(uint8_t *p, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++) {
		p[2 * i] = (uint8_t)digits[bytes[i] >> 4];
		p[2 * i + 1] = (uint8_t)digits[bytes[i] & 15];
	}
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int num_parse_hex(struct mosaic_slice text, uint8_t *bytes, size_t len)
{
	if (text.len / 2 != len || text.len % 2 != 0)
		return MOSAIC_E_INVAL;
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(text.ptr[2 * i]), low = hex_digit(text.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return MOSAIC_E_INVAL;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
