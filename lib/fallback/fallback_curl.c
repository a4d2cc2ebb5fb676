/* SPDX-License-Identifier: BSD-3-Clause */
#include <curl/curl.h>

#include "hf_fallback.h"

enum hf_fallback_trigger hf_fallback_trigger_of_curl(int code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return HF_FALLBACK_BY_DNS;
	case CURLE_COULDNT_CONNECT:
		return HF_FALLBACK_BY_REFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return HF_FALLBACK_BY_TIMEOUT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return HF_FALLBACK_BY_TLS;
	default:
		return HF_FALLBACK_BY_RESET;
	}
}
