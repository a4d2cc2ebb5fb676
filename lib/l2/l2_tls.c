/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TLS to nodes: OpenSSL over a socket that does not block. The node's name must be the certificate's.
 */
#include "hf_l2_client.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "hf_log.h"

#include "l2_client.h"

SSL_CTX *l2_tls_context(const char *ca_file)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int good;

	if (!context)
		return NULL;
	good = *ca_file ? SSL_CTX_load_verify_locations(context, ca_file, NULL)
			: SSL_CTX_set_default_verify_paths(context);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_mode(
		context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (good == 1 && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1)
		return context;
	hf_log(HF_LOG_ERROR, "l2", "internal_error: l2.ca_file %s: no certificates", ca_file);
	ERR_clear_error();
	SSL_CTX_free(context);
	return NULL;
}

static bool tls_name(SSL *ssl, const char *host)
{
	unsigned char address[16];

	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

SSL *l2_tls_begin(SSL_CTX *context, const struct l2_node *node, int fd)
{
	SSL *ssl = SSL_new(context);

	if (ssl && tls_name(ssl, node->at.host) && SSL_set_fd(ssl, fd) == 1) {
		SSL_set_connect_state(ssl);
		return ssl;
	}
	ERR_clear_error();
	SSL_free(ssl);
	return NULL;
}

/* What an operation that did not succeed means: 0, it goes on later; -1. */
static int tls_verdict(struct l2_conn *conn, int result)
{
	int error = SSL_get_error(conn->ssl, result);

	ERR_clear_error();
	conn->ssl_wants_write = error == SSL_ERROR_WANT_WRITE;
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

ssize_t l2_tls_read(struct l2_conn *conn, void *buf, size_t cap)
{
	size_t got = 0;
	int result = SSL_read_ex(conn->ssl, buf, cap, &got);

	return result == 1 ? (ssize_t)got : tls_verdict(conn, result);
}

ssize_t l2_tls_write(struct l2_conn *conn, const void *buf, size_t len)
{
	size_t sent = 0;
	int result = SSL_write_ex(conn->ssl, buf, len, &sent);

	return result == 1 ? (ssize_t)sent : tls_verdict(conn, result);
}

int l2_tls_handshake(struct l2_conn *conn)
{
	int result = SSL_do_handshake(conn->ssl);

	return result == 1 ? 1 : tls_verdict(conn, result);
}
