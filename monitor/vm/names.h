/* Names in the configuration of an object, to look texts of messages up in.
 *
 * Words: of the whole table, names, then for each name, sorted by their bytes: its number, the
 * word at which its bytes start, how many there are. */
#ifndef KSS_NAMES_H
#define KSS_NAMES_H

#include "message.h"

/* Words that the table takes of `room`; 0 if it is not consistent. Numbers must be below `limit`. */
uint32_t kss_names_verify(const uint32_t *words, uint64_t room, uint32_t limit);

/* The number of the name that a text is, NONE if it is none of them. */
uint32_t kss_names_find(const uint32_t *words, struct text text);

#endif
