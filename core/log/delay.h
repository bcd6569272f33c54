/* Delay levels (messageDelayLevel of 5.3.3). Level n waits in queue n - 1 of SCHEDULE_TOPIC_XXXX;
 * the tagsCode of its consume queue units is the time at which it is due. */
#ifndef LOG_DELAY_H
#define LOG_DELAY_H

#include "base/compiler.h"

#define DELAY_TOPIC "SCHEDULE_TOPIC_XXXX"
#define DELAY_LEVELS 18

/* Milliseconds of a level: 1..DELAY_LEVELS, above is cut to the last, below is no delay. */
static inline int64_t delay_level_ms(int64_t level)
{
	static const int64_t seconds[DELAY_LEVELS] = {
		1,   5,   10,  30,  60,  120, 180,  240,  300,
		360, 420, 480, 540, 600, 1200, 1800, 3600, 7200,
	};
	if (level <= 0)
		return 0;
	return seconds[(level < DELAY_LEVELS ? level : DELAY_LEVELS) - 1] * 1000;
}

#endif
