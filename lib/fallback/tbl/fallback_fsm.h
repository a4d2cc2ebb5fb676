/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Every state with every event: X(state, event, next state, action). GOOD and FAILED are answers within a
 * row that is not long enough yet, ENOUGH_GOOD and ENOUGH_FAILED complete it; REFUSED is an answer that
 * breaks either row and proves nothing: the other end is there, and what it said was no use.
 */
/* clang-format off */
/*   what is asked of it works                                      */
X(NORMAL,     GOOD,          NORMAL,     NONE)
X(NORMAL,     ENOUGH_GOOD,   NORMAL,     NONE)
X(NORMAL,     FAILED,        FAILING,    NONE)
X(NORMAL,     ENOUGH_FAILED, FALLBACK,   ENTER)
X(NORMAL,     REFUSED,       NORMAL,     NONE)
X(NORMAL,     ON,            HELD_ON,    ENTER)
X(NORMAL,     OFF,           HELD_OFF,   NONE)
X(NORMAL,     AUTO,          NORMAL,     NONE)
/*   some failures in a row                                         */
X(FAILING,    GOOD,          NORMAL,     NONE)
X(FAILING,    ENOUGH_GOOD,   NORMAL,     NONE)
X(FAILING,    FAILED,        FAILING,    NONE)
X(FAILING,    ENOUGH_FAILED, FALLBACK,   ENTER)
X(FAILING,    REFUSED,       NORMAL,     NONE)
X(FAILING,    ON,            HELD_ON,    ENTER)
X(FAILING,    OFF,           HELD_OFF,   NONE)
X(FAILING,    AUTO,          FAILING,    NONE)
/*   on what is known already                                       */
X(FALLBACK,   GOOD,          RECOVERING, NONE)
X(FALLBACK,   ENOUGH_GOOD,   NORMAL,     LEAVE)
X(FALLBACK,   FAILED,        FALLBACK,   NONE)
X(FALLBACK,   ENOUGH_FAILED, FALLBACK,   NONE)
X(FALLBACK,   REFUSED,       FALLBACK,   NONE)
X(FALLBACK,   ON,            HELD_ON,    NONE)
X(FALLBACK,   OFF,           HELD_OFF,   LEAVE)
X(FALLBACK,   AUTO,          FALLBACK,   NONE)
/*   the same, with some successes in a row                         */
X(RECOVERING, GOOD,          RECOVERING, NONE)
X(RECOVERING, ENOUGH_GOOD,   NORMAL,     LEAVE)
X(RECOVERING, FAILED,        FALLBACK,   NONE)
X(RECOVERING, ENOUGH_FAILED, FALLBACK,   NONE)
X(RECOVERING, REFUSED,       FALLBACK,   NONE)
X(RECOVERING, ON,            HELD_ON,    NONE)
X(RECOVERING, OFF,           HELD_OFF,   LEAVE)
X(RECOVERING, AUTO,          RECOVERING, NONE)
/*   the operator says so, whatever is answered; AUTO begins to count anew */
X(HELD_ON,    GOOD,          HELD_ON,    NONE)
X(HELD_ON,    ENOUGH_GOOD,   HELD_ON,    NONE)
X(HELD_ON,    FAILED,        HELD_ON,    NONE)
X(HELD_ON,    ENOUGH_FAILED, HELD_ON,    NONE)
X(HELD_ON,    REFUSED,       HELD_ON,    NONE)
X(HELD_ON,    ON,            HELD_ON,    NONE)
X(HELD_ON,    OFF,           HELD_OFF,   LEAVE)
X(HELD_ON,    AUTO,          FALLBACK,   NONE)
X(HELD_OFF,   GOOD,          HELD_OFF,   NONE)
X(HELD_OFF,   ENOUGH_GOOD,   HELD_OFF,   NONE)
X(HELD_OFF,   FAILED,        HELD_OFF,   NONE)
X(HELD_OFF,   ENOUGH_FAILED, HELD_OFF,   NONE)
X(HELD_OFF,   REFUSED,       HELD_OFF,   NONE)
X(HELD_OFF,   ON,            HELD_ON,    ENTER)
X(HELD_OFF,   OFF,           HELD_OFF,   NONE)
X(HELD_OFF,   AUTO,          NORMAL,     NONE)
/* clang-format on */
