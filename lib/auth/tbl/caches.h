/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The caches of decisions: X(id, name, how long an allow counts unless its flow says otherwise).
 */
/* clang-format off */
X(AGENT_IDENTITY,      "agent_identity",      300)
X(AGENT_API_KEY,       "agent_api_key",       300)
X(AUTH_GATEWAY,        "auth_gateway",         60)
X(AUTHORIZATION_CHECK, "authorization_check", 300)
/* clang-format on */
