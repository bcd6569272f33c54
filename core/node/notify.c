#include "node/notify.h"

#include "base/err.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A path, or "@name" for the abstract namespace (the name begins with a NUL byte then). */
static int socket_address(const char *path, struct sockaddr_un *address, socklen_t *len)
{
	size_t n = strlen(path);
	if ((path[0] != '/' && path[0] != '@') || n < 2 || n >= sizeof(address->sun_path))
		return MOSAIC_E_INVAL;
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, n);
	if (path[0] == '@')
		address->sun_path[0] = '\0';
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return 0;
}

int notify_send(const char *state, struct mosaic_error *err)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	socklen_t len;
	int rc = 0;

	if (path == NULL || path[0] == '\0')
		return 0;
	if (socket_address(path, &address, &len) != 0)
		return err_set(err, MOSAIC_E_INVAL, "NOTIFY_SOCKET=%s is no socket path", path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set_os(err, MOSAIC_E_IO, errno, "cannot make a socket for %s", path);
	ssize_t n;
	do
		n = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
			   len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		rc = err_set_os(err, errno == EAGAIN ? MOSAIC_E_AGAIN : MOSAIC_E_IO, errno,
				"cannot notify %s", path);
	close(fd);
	return rc;
}
