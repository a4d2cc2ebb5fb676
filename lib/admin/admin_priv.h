/* SPDX-License-Identifier: BSD-3-Clause
 *
 * admin_priv - connections (admin.c) and the requests on them (admin_request.c).
 */
#ifndef HF_PRIV_ADMIN
#error "admin_priv.h is private to lib/admin"
#endif
#ifndef ADMIN_PRIV_H
#define ADMIN_PRIV_H

#include <microhttpd.h>
#include <pthread.h>

#include "hf_admin.h"
#include "hf_list.h"

#define ADMIN_CONNS_MAX    64
#define ADMIN_ADDRESS_MAX  32 /* connections from one address */
#define ADMIN_CONNS_ENDING 16 /* cut, but not gone yet */
#define ADMIN_TIMEOUT_S    10
#define ADMIN_REQUEST_MAX  16384
#define ADMIN_BACKLOG      128
#define ADMIN_SWALLOW_MAX                                                                          \
	1048576 /* of a body in chunks that is too long; then the connection is cut */

struct admin_conn {
	bool used, cut;
	int fd;
	uint8_t address[16];
	uint64_t active_us; /* accepted, or the end of its last request */
};

struct hf_admin {
	struct hf_admin_cfg cfg;
	struct MHD_Daemon *daemon;
	struct admin_conn conn[ADMIN_CONNS_MAX + ADMIN_CONNS_ENDING];
	pthread_mutex_t held_lock;
	struct hf_list held; /* requests whose answers are */
	bool ending;         /* none is any more */
};

/* An MHD_AccessHandlerCallback. */
enum MHD_Result admin_on_request(void *admin, struct MHD_Connection *connection, const char *path,
	const char *method, const char *version, const char *upload, size_t *upload_len,
	void **request_context);
/* What that left in *request_context. */
void admin_request_free(void *request_context);

#endif
