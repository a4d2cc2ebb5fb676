/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What every unit test of the cache begins with.
 */
#ifndef CACHE_FIXTURE_H
#define CACHE_FIXTURE_H

#include "cache_rig.h"

#include <criterion/criterion.h>

#endif
