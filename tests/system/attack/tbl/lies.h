/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP option lists that no TCP sends: X(bytes...), a multiple of four of them.
 */
/* clang-format off */
X(0x1e, 0, 0, 0)                                     /* length 0 */
X(0x1e, 1, 0, 0)                                     /* length 1 */
X(0x1e, 40, 0, 0)                                    /* past the end */
X(1, 1, 1, 0x1e)                                     /* no length at all */
X(2, 3, 5, 0)                                        /* MSS of three bytes */
X(2, 2, 1, 1)                                        /* and of two */
X(1, 1, 2, 4)                                        /* and cut */
X(3, 2, 1, 1)                                        /* window scale without shift */
X(1, 3, 3, 255)                                      /* and with one of 255 */
X(8, 10, 0, 0)                                       /* timestamps past the end */
X(8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)                /* and too short */
X(5, 3, 0, 0)                                        /* SACK of a byte */
X(5, 2, 1, 1)                                        /* of no block */
X(5, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)                /* of seven bytes */
X(5, 42, 0, 0)                                       /* of five blocks, past the end */
X(1, 1, 5, 10, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)   /* a block that ends before it begins */
X(1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0)               /* an empty one */
X(4, 3, 0, 0)                                        /* SACK permitted, too long */
X(0, 255, 255, 255)                                  /* after the end of the list */
X(254, 2, 254, 2)                                    /* experiments without name */
X(2, 4, 5, 180, 2, 4, 0, 1, 2, 4, 255, 255)          /* three MSS */
X(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
X(34, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)             /* Fast Open with a cookie of nobody's */
X(1, 1, 19, 18, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) /* MD5 */
/* clang-format on */
